"""A mail as bytes (RFC 5322, RFC 2045–2047, RFC 2231), built directly.

The standard library's ``EmailMessage`` takes about a millisecond per mail, more than everything else that a
worker does for it. The forms that CastComm sends are few (text, HTML, or both as alternatives, and files beside
them), so they are written out here; the tests read them back with the standard library's parser.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterator
from email.header import Header
from email.utils import formatdate, parseaddr, quote
from urllib.parse import quote as percent_encoded

from notifications.providers.base import EmailMessage, File

_LINE_BREAK = re.compile(r"[\r\n\x00]")
_LONG_LINE = 900  # bytes; SMTP allows 998 (RFC 5321, 4.5.3.1.6)
_DOT_LINE = re.compile(rb"(?m)^\.")
_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}")  # RFC 5322, 3.6.8
_WORD = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"  # RFC 2045, 5.1
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}")
_BLANK = re.compile(r"(?<=\S) (?=\S)")
_NAME_PIECE = re.compile(r"(?:%[0-9A-F]{2}|[^%]){1,20}")
# What the mail itself decides, and what decides at whose side it goes where.
_RESERVED = frozenset(
    {
        *("from", "sender", "to", "cc", "bcc", "subject", "reply-to", "message-id", "date", "mime-version"),
        *("return-path", "received", "dkim-signature", "x-castcomm-delivery", "auto-submitted", "x-smtpapi"),
        *("resent-to", "resent-cc", "resent-bcc", "apparently-to"),
    }
)
_RESERVED_BEGINNINGS = ("content-", "x-pm-", "x-mailgun-", "x-ses-")


class HeaderInjection(ValueError):
    """A value was about to become a header that it must not become: a line break in it, or a reserved name."""


def build(message: EmailMessage, *, sender: str = "", sender_name: str = "") -> bytes:
    """The whole mail with CRLF line ends, not yet dot-stuffed; raises HeaderInjection.

    ``sender`` and ``sender_name`` stand in ``From`` instead of the message's own.
    """
    if not sender:
        sender, sender_name = message.sender, message.sender_name
    check_headers(message, sender, sender_name)
    head = _headers(message, _mailbox(sender_name, sender))
    if not message.attachments:
        return head + _body(message)
    mark = b"--=_files" + message.delivery_id.replace("-", "").encode()
    kind = b'Content-Type: multipart/mixed;\r\n boundary="' + mark[2:] + b'"\r\n\r\n'
    parts = [mark + b"\r\n" + _file(one) for one in message.attachments]
    return b"".join((head, kind, mark, b"\r\n", _body(message), *parts, mark, b"--\r\n"))


def check_headers(message: EmailMessage, sender: str, sender_name: str) -> None:
    """Refuse what would break out of its header, for every way to send; raises HeaderInjection naming the field."""
    values = "".join(
        (
            *(sender, sender_name, message.to, message.subject, message.message_id, message.delivery_id),
            *(message.reply_to, message.sender, message.sender_name),
        )
    )
    if message.headers:
        values += "".join(f"{name}{value}" for name, value in message.headers)
    if message.attachments:
        values += "".join(f"{one.filename}{one.content_type}" for one in message.attachments)
    if _LINE_BREAK.search(values):
        field = next(
            name for name, value in _values(message, sender, sender_name) if _LINE_BREAK.search(value)
        )
        raise HeaderInjection(f"{field} may not contain a line break.")
    for position, (name, _) in enumerate(message.headers):
        low = name.lower()
        if not _HEADER_NAME.fullmatch(name) or low in _RESERVED or low.startswith(_RESERVED_BEGINNINGS):
            raise HeaderInjection(f"headers.{position} may not have this name.")
    for position, one in enumerate(message.attachments):
        if not _MEDIA_TYPE.fullmatch(one.content_type):
            raise HeaderInjection(f"attachments.{position}.content_type is no media type.")


def _values(message: EmailMessage, sender: str, sender_name: str) -> Iterator[tuple[str, str]]:
    for field in ("to", "subject", "message_id", "delivery_id", "reply_to", "sender", "sender_name"):
        yield field, getattr(message, field)
    yield "sender", sender
    yield "sender_name", sender_name
    for position, (name, value) in enumerate(message.headers):
        yield f"headers.{position}", name + value
    for position, one in enumerate(message.attachments):
        yield f"attachments.{position}.filename", one.filename
        yield f"attachments.{position}.content_type", one.content_type


def dot_stuffed(content: bytes) -> bytes:
    """The content as SMTP's DATA wants it, with the final dot (RFC 5321, 4.5.2)."""
    if b"\n." in content or content.startswith(b"."):
        content = _DOT_LINE.sub(b"..", content)
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def _headers(message: EmailMessage, mailbox: str) -> bytes:
    lines = [
        "From: " + mailbox,
        "To: " + message.to,
        "Subject: " + _encoded(message.subject, len("Subject: ")),
        f"Message-ID: <{message.message_id}>",
        "Date: " + _date(int(time.time())),
        "MIME-Version: 1.0",
        "X-CastComm-Delivery: " + message.delivery_id,
        "Auto-Submitted: auto-generated",
    ]
    if message.reply_to:
        lines.append("Reply-To: " + _mailbox(*_parsed(message.reply_to)))
    lines.extend(f"{name}: {_unstructured(value, len(name) + 2)}" for name, value in message.headers)
    return ("\r\n".join(lines) + "\r\n").encode()


def _unstructured(value: str, indent: int) -> str:
    """A further header's value; ASCII stays readable for machines (RFC 8058) and is folded at blanks."""
    if not value.isascii() or not value.isprintable():
        return _encoded(value, indent)
    if len(value) + indent <= 78:
        return value
    folded = _BLANK.sub("\r\n ", value)
    if max(map(len, folded.split("\r\n"))) + indent > _LONG_LINE:
        raise HeaderInjection("A header's value has a word that is longer than a line may be.")
    return folded


def _body(message: EmailMessage) -> bytes:
    """What there is to read, with its own headers: text, HTML, or both as alternatives."""
    if not message.text or not message.html:
        return _part("html", message.html) if message.html else _part("plain", message.text)
    mark = b"--=_" + message.delivery_id.replace("-", "").encode()
    return b"".join(
        (
            b'Content-Type: multipart/alternative; boundary="',
            mark[2:],
            b'"\r\n\r\n',
            mark,
            b"\r\n",
            _part("plain", message.text),
            mark,
            b"\r\n",
            _part("html", message.html),
            mark,
            b"--\r\n",
        )
    )


def _part(subtype: str, text: str) -> bytes:
    content = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    if not content.endswith(b"\n"):
        content += b"\n"
    if content.isascii() and max(map(len, content.split(b"\n"))) <= _LONG_LINE and b"\x00" not in content:
        encoding = "7bit"
    else:
        encoding = "quoted-printable"
        content = binascii.b2a_qp(content, istext=True)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + content.replace(b"\n", b"\r\n")


def _file(file: File) -> bytes:
    kind = file.content_type
    if kind.lower().startswith(("message/", "multipart/")):
        kind = "application/octet-stream"  # these may not be in base64 (RFC 2045, 6.4)
    elif kind.startswith("text/"):
        kind += "; charset=utf-8"  # what is taken in as text is UTF-8
    head = (
        f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment{_filename(file.filename)}\r\n\r\n"
    )
    return head.encode() + base64.encodebytes(file.content).replace(b"\n", b"\r\n")


def _filename(name: str) -> str:
    """The parameter, in pieces where it is long or beyond ASCII (RFC 2231, 3 and 4)."""
    if name.isascii() and name.isprintable() and len(name) <= 60:
        return f'; filename="{quote(name)}"'
    encoded = percent_encoded(name, safe="")
    if len(encoded) <= 60:
        return f";\r\n filename*=utf-8''{encoded}"
    pieces = _NAME_PIECE.findall(encoded)
    return "".join(
        f";\r\n filename*{number}*={'' if number else 'utf-8' + chr(39) * 2}{piece}"
        for number, piece in enumerate(pieces)
    )


def _encoded(value: str, indent: int) -> str:
    if value.isascii() and value.isprintable() and len(value) + indent <= 78 and "=?" not in value:
        return value
    # Long ones too: a word of any length can be split when it is encoded.
    return Header(value, "utf-8", header_name="x" * indent).encode(linesep="\r\n")


def _parsed(mailbox: str) -> tuple[str, str]:
    name, address = parseaddr(mailbox)
    if "@" not in address:
        raise HeaderInjection("reply_to is no address.")
    return name, address


def _mailbox(name: str, address: str) -> str:
    if not name:
        return address
    if name.isascii():
        return f'"{quote(name)}" <{address}>'
    return f"{_encoded(name, 6)} <{address}>"


_dates: dict[int, str] = {}


def _date(second: int) -> str:
    """The Date header; many mails share a second."""
    known = _dates.get(second)
    if known is None:
        _dates.clear()
        known = _dates[second] = formatdate(second)
    return known
