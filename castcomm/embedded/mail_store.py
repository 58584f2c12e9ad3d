"""The mails the catcher holds: files in one folder, bounded in number and bytes, kept over a restart."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import json
import re
import shutil
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from pathlib import Path
from urllib.parse import quote

MAX_MESSAGES = 1000
MAX_BYTES = 200_000_000


@dataclass(frozen=True)
class Summary:
    """One line of the list. ``sender`` and ``recipients`` are the envelope's. Bytes, UTC."""

    id: int
    received_at: str
    sender: str
    recipients: list[str]
    from_: str
    to: str
    subject: str
    size: int

    def as_json(self) -> dict[str, object]:
        values = asdict(self)
        values["from"] = values.pop("from_")
        return values


@dataclass(frozen=True)
class Part:
    name: str
    content_type: str
    content_id: str
    content: bytes


@dataclass(frozen=True)
class Content:
    """A mail taken apart. ``html`` and ``text`` are None when the mail has no such part."""

    headers: list[tuple[str, str]]
    text: str | None
    html: str | None
    parts: list[Part]


class MailStore:
    def __init__(self, folder: Path, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._summaries: OrderedDict[int, Summary] = OrderedDict()
        self._bytes = 0
        self._last_id = 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._load()

    def __len__(self) -> int:
        return len(self._summaries)

    def add(self, raw: bytes, *, sender: str, recipients: Sequence[str]) -> Summary:
        """Keep one mail; the oldest make room for it."""
        self._last_id += 1
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        summary = Summary(
            id=self._last_id,
            received_at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            sender=sender,
            recipients=list(recipients),
            from_=_header(message, "from"),
            to=_header(message, "to"),
            subject=_header(message, "subject"),
            size=len(raw),
        )
        self._path(summary.id, "eml").write_bytes(raw)
        self._path(summary.id, "json").write_text(json.dumps(asdict(summary)))
        self._keep(summary)
        return summary

    def newest(self, *, limit: int, recipient: str = "") -> list[Summary]:
        """Up to ``limit`` mails, newest first; ``recipient`` keeps those whose envelope names it."""
        found: list[Summary] = []
        for summary in reversed(self._summaries.values()):
            if len(found) >= limit:
                break
            if not recipient or recipient.lower() in (address.lower() for address in summary.recipients):
                found.append(summary)
        return found

    def summary(self, number: int) -> Summary | None:
        return self._summaries.get(number)

    def raw(self, number: int) -> bytes:
        """The mail as it came over the wire. Raises KeyError when it is not held."""
        if number not in self._summaries:
            raise KeyError(number)
        return self._path(number, "eml").read_bytes()

    def content(self, number: int) -> Content:
        """The mail taken apart. Raises KeyError when it is not held."""
        return take_apart(self.raw(number))

    def clear(self) -> int:
        """Forget every mail; how many there were."""
        count = len(self._summaries)
        for number in list(self._summaries):
            self._drop(number)
        return count

    def _keep(self, summary: Summary) -> None:
        self._summaries[summary.id] = summary
        self._bytes += summary.size
        while len(self._summaries) > self._max_messages or (
            self._bytes > self._max_bytes and len(self._summaries) > 1
        ):
            self._drop(next(iter(self._summaries)))

    def _drop(self, number: int) -> None:
        self._bytes -= self._summaries.pop(number).size
        for ending in ("eml", "json"):
            self._path(number, ending).unlink(missing_ok=True)

    def _path(self, number: int, ending: str) -> Path:
        return self._folder / f"{number:08d}.{ending}"

    def _load(self) -> None:
        for path in sorted(self._folder.glob("*.json")):
            try:
                summary = Summary(**json.loads(path.read_text()))
            except (ValueError, TypeError):
                # Cut short by a crash: the mail cannot be listed, so it is not kept either.
                path.unlink()
                path.with_suffix(".eml").unlink(missing_ok=True)
                continue
            self._last_id = max(self._last_id, summary.id)
            self._keep(summary)

    def remove(self) -> None:
        """Delete the folder as well."""
        self.clear()
        shutil.rmtree(self._folder)


def take_apart(raw: bytes) -> Content:
    """Headers, bodies and other parts of a mail, however broken it is."""
    plain = email.message_from_bytes(raw, policy=email.policy.compat32)
    headers = [(name, _decoded(value)) for name, value in plain.items()]
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    bodies = {id(body) for body in (text, html) if body is not None}
    others = [part for part in message.walk() if not part.is_multipart() and id(part) not in bodies]
    parts = [
        Part(
            name=part.get_filename() or f"part-{index}",
            content_type=part.get_content_type(),
            content_id=str(part.get("content-id", "")).strip().strip("<>"),
            content=_bytes_of(part),
        )
        for index, part in enumerate(others)
    ]
    return Content(headers, _text_of(text), _text_of(html), parts)


def with_inline_images(html: str, parts: Sequence[Part], base: str) -> str:
    """``html`` with its ``cid:`` references (RFC 2392) pointing to ``base/<index>``."""
    for index, part in enumerate(parts):
        if part.content_id:
            for written in {part.content_id, quote(part.content_id)}:
                html = re.sub(rf"cid:{re.escape(written)}(?=[\"'\s)>])", f"{base}/{index}", html)
    return html


def _text_of(part: Message | None) -> str | None:
    """The text of a body, with plain line feeds where the wire has CRLF."""
    if part is None:
        return None
    content = _bytes_of(part)
    try:
        text = content.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:
        text = content.decode("utf-8", errors="replace")
    return text.replace("\r\n", "\n")


def _bytes_of(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _header(message: Message, name: str) -> str:
    return _decoded(message.get(name, ""))


def _decoded(value: object) -> str:
    text = " ".join(str(value).split())
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, ValueError):
        return text  # An unknown charset or broken encoding: show what was sent.
