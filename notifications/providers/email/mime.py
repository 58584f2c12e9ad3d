"""A mail as bytes (RFC 5322, RFC 2045–2047), built directly.

The standard library's ``EmailMessage`` takes about a millisecond per mail, more than everything else that a
worker does for it. The forms that CastComm sends are few (text, HTML, or both as alternatives), so they are
written out here; the tests read them back with the standard library's parser.
"""

from __future__ import annotations

import binascii
import re
import time
from email.header import Header
from email.utils import formatdate, quote

from notifications.providers.base import EmailMessage

_LINE_BREAK = re.compile(r"[\r\n\x00]")
_LONG_LINE = 900  # bytes; SMTP allows 998 (RFC 5321, 4.5.3.1.6)
_DOT_LINE = re.compile(rb"(?m)^\.")


class HeaderInjection(ValueError):
    """A value with a line break was about to become a header."""


def build(message: EmailMessage, *, sender: str = "", sender_name: str = "") -> bytes:
    """The whole mail with CRLF line ends, not yet dot-stuffed; raises HeaderInjection.

    ``sender`` and ``sender_name`` stand in ``From`` instead of the message's own.
    """
    mailbox = _mailbox(sender_name, sender) if sender else _mailbox(message.sender_name, message.sender)
    if message.text and message.html:
        boundary = "=_" + message.delivery_id.replace("-", "")
        kind = f'multipart/alternative; boundary="{boundary}"'
        mark = b"--" + boundary.encode()
        body = b"".join(
            (
                b"\r\n",
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
        return _headers(message, mailbox, kind) + body
    single = _part("html", message.html) if message.html else _part("plain", message.text)
    return _headers(message, mailbox, None) + single


def dot_stuffed(content: bytes) -> bytes:
    """The content as SMTP's DATA wants it, with the final dot (RFC 5321, 4.5.2)."""
    if b"\n." in content or content.startswith(b"."):
        content = _DOT_LINE.sub(b"..", content)
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def _headers(message: EmailMessage, mailbox: str, kind: str | None) -> bytes:
    lines = [
        "From: " + mailbox,
        "To: " + _clean(message.to),
        "Subject: " + _encoded(message.subject, len("Subject: ")),
        f"Message-ID: <{_clean(message.message_id)}>",
        "Date: " + _date(int(time.time())),
        "MIME-Version: 1.0",
        "X-CastComm-Delivery: " + _clean(message.delivery_id),
        "Auto-Submitted: auto-generated",
    ]
    if kind:
        lines.append("Content-Type: " + kind)
    return ("\r\n".join(lines) + "\r\n").encode()


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


def _clean(value: str) -> str:
    if _LINE_BREAK.search(value):
        raise HeaderInjection("A header's value may not contain a line break.")
    return value


def _encoded(value: str, indent: int) -> str:
    _clean(value)
    if value.isascii() and value.isprintable() and len(value) + indent <= 78 and "=?" not in value:
        return value
    # Long ones too: a word of any length can be split when it is encoded.
    return Header(value, "utf-8", header_name="x" * indent).encode(linesep="\r\n")


def _mailbox(name: str, address: str) -> str:
    _clean(address)
    if not name:
        return address
    if name.isascii():
        return f'"{quote(_clean(name))}" <{address}>'
    return f"{_encoded(name, 6)} <{address}>"


_dates: dict[int, str] = {}


def _date(second: int) -> str:
    """The Date header; many mails share a second."""
    known = _dates.get(second)
    if known is None:
        _dates.clear()
        known = _dates[second] = formatdate(second)
    return known
