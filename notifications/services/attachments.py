"""Files that go out with the mails of a request: what is taken in, and where it waits.

What a file is, is seen from its content; its name and the type that the caller gave must say the same. Only types that
can hold no program are taken: no executables, no HTML, no SVG, no Office files with macros, no archives.
"""

from __future__ import annotations

import binascii
import unicodedata
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from castcomm.common.errors import InvalidInput
from notifications.models import Attachment
from notifications.providers.base import File
from notifications.services.file_types import TYPES, kind_of, type_of_name

MAX_FILES = 10
MAX_BYTES = 10 * 1024 * 1024  # of all files of a request, decoded
MAX_NAME = 150  # characters
_FIELDS = frozenset({"filename", "content_type", "content"})
_JOINERS = "\u200c\u200d"  # spelling needs them, in Persian for example
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def check_attachments(given: Any) -> list[File]:
    """The files of a call, checked; raises InvalidInput that names ``attachments.N.field``.

    Each is a ``File``, or a mapping with ``filename``, ``content`` (bytes, or text in base64) and perhaps
    ``content_type``. At most ``MAX_FILES``, and ``MAX_BYTES`` in all.
    """
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise InvalidInput("This must be a list.", attr="attachments")
    if len(given) > MAX_FILES:
        raise InvalidInput(f"At most {MAX_FILES} files in one call.", attr="attachments")
    files: list[File] = []
    left = MAX_BYTES
    for position, one in enumerate(given):
        file = _checked(one, f"attachments.{position}", left)
        left -= len(file.content)
        files.append(file)
    return files


def store(request_id: uuid.UUID, files: Sequence[File]) -> None:
    """Keep checked files with their request."""
    Attachment.objects.bulk_create(
        Attachment(
            request_id=request_id,
            position=position,
            filename=one.filename,
            content_type=one.content_type,
            content=one.content,
        )
        for position, one in enumerate(files)
    )


def load(request_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, tuple[File, ...]]:
    """The files of each request that has any, in their order; one query."""
    found: dict[uuid.UUID, list[File]] = defaultdict(list)
    rows = Attachment.objects.filter(request_id__in=list(request_ids)).order_by("request_id", "position")
    for row in rows.iterator():
        found[row.request_id].append(
            File(filename=row.filename, content_type=row.content_type, content=bytes(row.content))
        )
    return {request_id: tuple(files) for request_id, files in found.items()}


def _checked(given: Any, attr: str, left: int) -> File:
    if isinstance(given, File):
        given = {
            "filename": given.filename,
            "content_type": given.content_type,
            "content": given.content,
        }
    if not isinstance(given, Mapping):
        raise InvalidInput("This must be an object with filename and content.", attr=attr)
    unknown = sorted(str(key) for key in given if key not in _FIELDS)
    if unknown:
        raise InvalidInput("There is no such field.", attr=f"{attr}.{unknown[0]}")
    filename = _checked_name(given.get("filename"), f"{attr}.filename")
    expected = type_of_name(filename)
    if expected is None:
        raise InvalidInput(f"Only these are sent: {', '.join(TYPES)}.", attr=f"{attr}.filename")
    _check_type(given.get("content_type"), expected, f"{attr}.content_type")
    content = _bytes(given.get("content"), f"{attr}.content", left)
    if kind_of(content) != expected and not _is_text_as(content, expected):
        raise InvalidInput("The content is not what the name says.", attr=f"{attr}.content")
    return File(filename=filename, content_type=expected, content=content)


def _is_text_as(content: bytes, expected: str) -> bool:
    """Nothing tells a table of values from other text; a calendar does name itself, and may be sent as text."""
    return expected in {"text/plain", "text/csv"} and (kind_of(content) or "").startswith("text/")


def _checked_name(given: Any, attr: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise InvalidInput("A file needs a name.", attr=attr)
    name = unicodedata.normalize("NFC", given)
    if len(name) > MAX_NAME:
        raise InvalidInput(f"At most {MAX_NAME} characters.", attr=attr)
    if "/" in name or "\\" in name:
        raise InvalidInput("A name may not have path parts.", attr=attr)
    # Such characters can make a name look like another one: RIGHT-TO-LEFT OVERRIDE turns its end around.
    if any(unicodedata.category(one) in _FORBIDDEN_CATEGORIES and one not in _JOINERS for one in name):
        raise InvalidInput("A name may not have control characters.", attr=attr)
    if name != name.strip() or name.startswith(".") or name.endswith("."):
        raise InvalidInput(
            "A name may not begin with a dot, end with one, or have blanks around it.", attr=attr
        )
    return name


def _check_type(given: Any, expected: str, attr: str) -> None:
    if given is None or given == "":
        return
    if not isinstance(given, str):
        raise InvalidInput("This must be text.", attr=attr)
    if given.split(";")[0].strip().lower() != expected:
        raise InvalidInput(f"A file of this name is {expected}.", attr=attr)


def _bytes(given: Any, attr: str, left: int) -> bytes:
    too_much = InvalidInput(f"At most {MAX_BYTES // 1024 // 1024} MB in all files of a call.", attr=attr)
    if isinstance(given, str):
        if len(given) * 3 // 4 > left + 2:
            raise too_much
        given = _decoded(given, attr)
    if not isinstance(given, bytes | bytearray | memoryview):
        raise InvalidInput("This must be bytes, or text in base64.", attr=attr)
    content = bytes(given)
    if not content:
        raise InvalidInput("The file is empty.", attr=attr)
    if len(content) > left:
        raise too_much
    return content


def _decoded(given: str, attr: str) -> bytes:
    """Base64 of the standard alphabet with its padding and nothing else (RFC 4648, 4)."""
    try:
        decoded = binascii.a2b_base64(given.encode("ascii"), strict_mode=True)
        if given.endswith("==="):  # which the strict mode lets pass
            raise ValueError
        return decoded
    except (ValueError, UnicodeError) as error:
        raise InvalidInput("This is not base64.", attr=attr) from error
