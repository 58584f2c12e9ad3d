"""What a file is, seen from its content: of the few types that are sent by mail, or none of them.

Written out, because a yes has to be certain: databases of thousands of beginnings guess, and take a letter that starts
with "Version 1" for a document of FrameMaker.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib

# Extension to type: a reader's computer goes by the extension.
TYPES = {
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "txt": "text/plain",
    "csv": "text/csv",
    "ics": "text/calendar",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
}
_BEGINNINGS = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_MAIN_PARTS = {
    "word/document.xml": TYPES["docx"],
    "xl/workbook.xml": TYPES["xlsx"],
    "ppt/presentation.xml": TYPES["pptx"],
}
_MOST_MEMBERS = 5_000
_SNIFFED = 4096  # bytes of a text in which a program or markup would show itself
_MARKUP = (
    b"<!doctype",
    b"<html",
    b"<svg",
    b"<?xml",
    b"<script",
    b"<?php",
    b"#!",
    b"{\\rtf",
    b"<head",
    b"<body",
)


def type_of_name(filename: str) -> str | None:
    """The type that a name's extension stands for; None for one that is not sent."""
    stem, dot, extension = filename.rpartition(".")
    return TYPES.get(extension.lower()) if stem and dot else None


# What zipfile raises for bytes that are no archive: offsets and names that make no sense (OverflowError, ValueError,
# OSError), a method of compression that it does not know, a password that it lacks (RuntimeError), content that breaks
# off, and content that is not what the method makes.
_NO_ARCHIVE = (
    zipfile.BadZipFile,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
)


def kind_of(content: bytes) -> str | None:
    """The type of a content, None for anything that is not sent; text is ``text/plain`` unless it is a calendar."""
    for beginning, kind in _BEGINNINGS.items():
        if content.startswith(beginning):
            return kind
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith(b"PK\x03\x04"):
        return _kind_of_archive(content)
    return _kind_of_text(content)


def _kind_of_archive(content: bytes) -> str | None:
    """An Office file without macros; only the list of its members is read, and one small member."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [one.filename for one in archive.infolist()]
            if len(names) > _MOST_MEMBERS or any(_holds_program(one) for one in names):
                return None
            if "[Content_Types].xml" in names:
                return next((kind for part, kind in _MAIN_PARTS.items() if part in names), None)
            if "mimetype" in names:
                with archive.open("mimetype") as member:
                    said = member.read(100)
                return TYPES["odt"] if said == TYPES["odt"].encode() else None
    except _NO_ARCHIVE:
        return None
    return None


def _holds_program(member: str) -> bool:
    low = member.lower()
    return low.endswith(("vbaproject.bin", ".exe", ".dll", ".js", ".vbs")) or low.startswith(
        ("basic/", "scripts/")
    )


def _kind_of_text(content: bytes) -> str | None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if any(ord(one) < 32 and one not in "\t\n\r\f" for one in set(text)) or "\x7f" in text:
        return None
    start = text[:_SNIFFED].lstrip().encode()
    low = start.lower()
    if low.startswith(_MARKUP) or b"<script" in low or b"<html" in low or b"<svg" in low:
        return None
    return "text/calendar" if start.startswith(b"BEGIN:VCALENDAR") else "text/plain"
