"""Which files go out with a mail: by content, name, size and number; and that nothing half is kept."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import Any

import pytest

from accounts.models import Organization
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from notifications.models import Attachment, EventType, NotificationRequest
from notifications.providers.base import File
from notifications.services.attachments import MAX_BYTES, MAX_FILES, MAX_NAME, check_attachments, load, store
from notifications.vocabulary import Priority

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x00" * 20
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + b"\x00" * 20
ICS = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"


def archive(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return made.getvalue()


def damaged(method: int) -> bytes:
    """A text document whose type is compressed, and then is not what the method makes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.text")
    content = bytearray(made.getvalue())
    content[38:46] = b"\xff" * 8  # behind the header of the member and its name
    return bytes(content)


def office(part: str, **more: bytes) -> bytes:
    return archive(**{"[Content_Types].xml": b"<Types/>", part: b"<x/>", **more})


DOCX = office("word/document.xml")
ODT = archive(mimetype=b"application/vnd.oasis.opendocument.text", **{"content.xml": b"<x/>"})
OFFICE = "application/vnd.openxmlformats-officedocument"


def given(filename: str = "a.pdf", content: Any = PDF, **more: Any) -> dict[str, Any]:
    return {"filename": filename, "content": content, **more}


def refused(*files: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        check_attachments(list(files))
    return caught.value


@pytest.mark.parametrize(
    ("filename", "content", "kind"),
    [
        ("a.pdf", PDF, "application/pdf"),
        ("a.PDF", PDF, "application/pdf"),
        ("a.png", PNG, "image/png"),
        ("a.jpg", JPEG, "image/jpeg"),
        ("a.jpeg", JPEG, "image/jpeg"),
        ("a.gif", b"GIF89a" + b"\x00" * 20, "image/gif"),
        ("a.webp", WEBP, "image/webp"),
        ("a.txt", b"Version 1\nof a letter", "text/plain"),
        ("a.txt", "Grüße\tund\r\nmehr\f".encode(), "text/plain"),
        ("a.txt", b"\xef\xbb\xbfwith a mark", "text/plain"),
        ("a.txt", ICS, "text/plain"),
        ("a.csv", b"a;b\r\n1;2\r\n", "text/csv"),
        ("a.csv", b"a < b, <b>\n", "text/csv"),
        ("a.ics", ICS, "text/calendar"),
        ("a.docx", DOCX, f"{OFFICE}.wordprocessingml.document"),
        ("a.xlsx", office("xl/workbook.xml"), f"{OFFICE}.spreadsheetml.sheet"),
        ("a.pptx", office("ppt/presentation.xml"), f"{OFFICE}.presentationml.presentation"),
        ("a.odt", ODT, "application/vnd.oasis.opendocument.text"),
    ],
)
def test_what_is_sent(filename: str, content: bytes, kind: str) -> None:
    for form in (content, bytearray(content), memoryview(content), base64.b64encode(content).decode()):
        (file,) = check_attachments([given(filename, form)])
        assert (file.filename, file.content_type, file.content) == (filename, kind, content)


@pytest.mark.parametrize(
    "filename",
    [
        "a.exe",
        "a.html",
        "a.svg",
        "a.zip",
        "a.js",
        "a.docm",
        "a.pdf.exe",
        "a",
        "a.",
        ".pdf",
        "a.pdf ",
        "a.pdf.",
    ],
)
def test_which_names_are_not(filename: str) -> None:
    assert refused(given(filename)).attr == "attachments.0.filename"


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("a.pdf", b"MZ\x90\x00" + b"\x00" * 60),
        ("a.pdf", b"\x7fELF\x02\x01\x01"),
        ("a.pdf", PNG),
        ("a.pdf", b"<html><script>alert(1)</script>"),
        ("a.pdf", b"junk before %PDF-1.7"),
        ("a.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("a.png", JPEG),
        ("a.webp", b"RIFF\x24\x00\x00\x00AVI LIST"),
        ("a.txt", b"<!DOCTYPE html><p>"),
        ("a.txt", b"\n\n  <HTML>"),
        ("a.txt", b"hello <script src=x></script>"),
        ("a.txt", b'\xef\xbb\xbf<?xml version="1.0"?><svg/>'),
        ("a.txt", b"#!/bin/sh\nrm -rf /"),
        ("a.txt", b"text with \x00 inside"),
        ("a.txt", b"\x1b[31mred"),
        ("a.txt", b"latin \xfc"),
        ("a.txt", PDF),
        ("a.csv", PNG),
        ("a.ics", b"not a calendar"),
        ("a.docx", archive(**{"evil.exe": b"MZ"})),
        ("a.docx", office("xl/workbook.xml")),
        ("a.docx", office("word/document.xml", **{"word/vbaProject.bin": b"x"})),
        ("a.docx", office("word/document.xml", **{"word/embeddings/tool.EXE": b"MZ"})),
        ("a.docx", DOCX[: len(DOCX) // 2]),
        ("a.docx", b"PK\x03\x04"),
        ("a.docx", b"MZ" + DOCX),
        ("a.odt", archive(mimetype=b"application/vnd.oasis.opendocument.text-template")),
        ("a.odt", archive(mimetype=b"application/vnd.oasis.opendocument.text", **{"Basic/a.xml": b"x"})),
        *(("a.odt", damaged(one)) for one in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
    ],
)
def test_content_that_is_not_what_the_name_says(filename: str, content: bytes) -> None:
    found = refused(given("first.pdf"), given(filename, content))
    assert found.attr == "attachments.1.content"


@pytest.mark.parametrize(
    "filename",
    [
        "../a.pdf",
        "a/b.pdf",
        "C:\\a.pdf",
        "a\r\nBcc: x@example.com.pdf",
        "a\x00.pdf",
        "a\x1b.pdf",
        "invoice\u202efdp.exe.pdf",
        "a\u2066.pdf",
        "a\ufeff.pdf",
        "a\u2028.pdf",
        "a\ud800.pdf",
        "x" * MAX_NAME + ".pdf",
        " a.pdf",
        "..pdf",
        "",
        "  ",
        None,
        7,
        b"a.pdf",
    ],
)
def test_names_that_mislead(filename: Any) -> None:
    assert refused(given(filename)).attr == "attachments.0.filename"


def test_a_name_in_any_script() -> None:
    for name in ("Übersicht.pdf", "年度報告.pdf", "می\u200cخواهم.pdf", "📎.pdf", "a b (1).pdf"):
        assert check_attachments([given(name)])[0].filename == name


@pytest.mark.parametrize(
    "declared", ["application/pdf", "Application/PDF", "application/pdf; name=x", "", None]
)
def test_a_type_that_says_the_same(declared: str | None) -> None:
    assert check_attachments([given(content_type=declared)])[0].content_type == "application/pdf"


@pytest.mark.parametrize("declared", ["text/html", "application/x-msdownload", "a\r\nb", 7])
def test_a_type_that_says_something_else(declared: Any) -> None:
    assert refused(given(content_type=declared)).attr == "attachments.0.content_type"


@pytest.mark.parametrize(
    "content",
    [
        "not base64!",
        "JVBERi0xLjc",  # without its padding
        "JVBERi0xLjcK\n",
        " JVBERi0xLjcK",
        "JVBERi0x=LjcK",
        "JVBERi0xLjcK====",
        "data:application/pdf;base64,JVBERi0xLjcK",
        "JVBE-i0xLjc_",
        "ÄÄÄÄ",
        "",
        b"",
        None,
        7,
        ["JVBERi0xLjcK"],
    ],
)
def test_content_that_cannot_be_read(content: Any) -> None:
    assert refused(given(content=content)).attr == "attachments.0.content"


def test_the_sizes_add_up() -> None:
    half = PDF + b"x" * (MAX_BYTES // 2 - len(PDF))
    assert len(check_attachments([given(content=half), given(content=half)])) == 2
    found = refused(given(content=half), given(content=half), given("a.txt", b"x"))
    assert (found.attr, found.message) == ("attachments.2.content", "At most 10 MB in all files of a call.")
    as_text = base64.b64encode(half + b"x").decode()
    assert refused(given(content=half), given(content=as_text)).attr == "attachments.1.content"


def test_text_that_is_far_too_long_is_not_even_decoded() -> None:
    assert "10 MB" in refused(given(content="!" * (MAX_BYTES * 2))).message


def test_there_is_a_limit_to_their_number() -> None:
    assert len(check_attachments([given()] * MAX_FILES)) == MAX_FILES
    assert refused(*[given()] * (MAX_FILES + 1)).attr == "attachments"


@pytest.mark.parametrize("wrong", [None, "a.pdf", b"x", {"filename": "a.pdf"}, 7])
def test_it_must_be_a_list(wrong: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_attachments(wrong)
    assert caught.value.attr == "attachments"


@pytest.mark.parametrize("wrong", [None, "a.pdf", 7, ["a.pdf"]])
def test_of_objects(wrong: Any) -> None:
    assert refused(given(), wrong).attr == "attachments.1"


def test_a_field_that_there_is_none_of() -> None:
    assert refused(given(path="/etc/passwd")).attr == "attachments.0.path"


def test_files_from_python_are_checked_too() -> None:
    file = File(filename="a.pdf", content_type="application/pdf", content=PDF)
    assert check_attachments([file]) == [file]
    assert check_attachments([]) == []
    assert refused(File(filename="a.exe", content_type="", content=b"MZ")).attr == "attachments.0.filename"


def asked(organization: Organization, news: EventType) -> NotificationRequest:
    return NotificationRequest.objects.create(
        organization=organization, event_type=news, priority=Priority.NORMAL, recipient_count=1
    )


def test_they_are_kept_and_read_in_their_order(organization: Organization, news: EventType) -> None:
    requests = [asked(organization, news) for _ in range(3)]
    first = check_attachments([given("b.pdf"), given("a.txt", b"text")])
    second = check_attachments([given("c.png", PNG)])
    store(requests[0].id, first)
    store(requests[1].id, second)
    found = load([one.id for one in requests] + [new_id()])
    assert found == {requests[0].id: tuple(first), requests[1].id: tuple(second)}
    assert load([]) == {}


def test_they_go_with_their_request(organization: Organization, news: EventType) -> None:
    request = asked(organization, news)
    store(request.id, check_attachments([given()]))
    request.delete()
    assert not Attachment.objects.exists()
