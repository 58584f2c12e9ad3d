"""The frames clients send, who answers them, and how an answer or an error looks.

``{"v": 1, "id": "c17", "event": "message:send", "data": {…}}``; all of it is in ``docs/realtime.md``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from castcomm.common.errors import CastCommError, InvalidInput
from castcomm.common.registry import Registry

from .conf import PROTOCOL_VERSION
from .frames import Frame, to_json

if TYPE_CHECKING:
    from .connection import Connection

logger = logging.getLogger(__name__)

MAX_ID_LENGTH = 64
MAX_EVENT_LENGTH = 64


class MalformedFrame(InvalidInput):
    """The frame does not follow the protocol; ``frame_id`` is its id where one could be read."""

    def __init__(
        self, message: str, *, code: str, attr: str | None = None, frame_id: str | None = None
    ) -> None:
        super().__init__(message, attr=attr, code=code)
        self.frame_id = frame_id


class ClientFrame(NamedTuple):
    """One frame from a client. Without an id the client does not want an answer, only errors."""

    id: str | None
    event: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler may return instead of the data of the ack.

    ``event`` replaces the event's own name; ``always`` answers a frame without id too; ``then`` runs right
    after the answer was written, before any other frame.
    """

    data: dict[str, Any] = field(default_factory=dict)
    event: str | None = None
    always: bool = False
    then: Callable[[], None] | None = None


Handler = Callable[["Connection", dict[str, Any]], Awaitable[dict[str, Any] | Answer | None]]


@dataclass(frozen=True, slots=True)
class _Entry:
    handler: Handler
    inbox: bool


_handlers: Registry[_Entry] = Registry("realtime event")


def on(event: str, *, inbox: bool = False) -> Callable[[Handler], Handler]:
    """Let the decorated coroutine function answer ``event``.

    It gets the connection and the frame's data; what it returns is the data of the ack. A CastCommError
    becomes an error frame. Events of one socket are handled one after the other. ``inbox`` allows the event
    on ``/ws/notifications`` too. An event that has a handler raises ValueError.
    """

    def decorate(handler: Handler) -> Handler:
        _handlers.register(event, _Entry(handler, inbox))
        return handler

    return decorate


def find_handler(event: str, *, inbox: bool) -> Handler | None:
    """The handler of an event, or None when there is none for this kind of socket."""
    if event not in _handlers:
        return None
    entry = _handlers.get(event)
    return entry.handler if entry.inbox or not inbox else None


def parse(text: str) -> ClientFrame:
    """The frame in ``text``; raises MalformedFrame."""
    try:
        raw = orjson.loads(text)
    except ValueError:
        raise MalformedFrame("The frame is not valid JSON.", code="invalid_json") from None
    if not isinstance(raw, dict):
        raise MalformedFrame("The frame must be a JSON object.", code="invalid_frame")
    frame_id = raw.get("id")
    if frame_id is not None and (not isinstance(frame_id, str) or not 0 < len(frame_id) <= MAX_ID_LENGTH):
        raise MalformedFrame(
            f"id must be a string of 1 to {MAX_ID_LENGTH} characters.", code="invalid", attr="id"
        )
    version = raw.get("v", PROTOCOL_VERSION)
    if version != PROTOCOL_VERSION or isinstance(version, bool):
        raise MalformedFrame(
            f"This server speaks version {PROTOCOL_VERSION}.",
            code="unsupported_version",
            attr="v",
            frame_id=frame_id,
        )
    event, data = raw.get("event"), raw.get("data")
    if not isinstance(event, str) or not 0 < len(event) <= MAX_EVENT_LENGTH:
        raise MalformedFrame(
            "event must be the name of an event.", code="invalid", attr="event", frame_id=frame_id
        )
    if data is None:
        data = {}
    elif not isinstance(data, dict):
        raise MalformedFrame("data must be a JSON object.", code="invalid", attr="data", frame_id=frame_id)
    return ClientFrame(frame_id, event, data)


def ack_frame(frame_id: str | None, event: str, data: dict[str, Any]) -> Frame:
    """The answer to a frame; raises TypeError when the data cannot be JSON."""
    if frame_id is None:
        return Frame(to_json({"event": event, "data": data}), event=event)
    return Frame(to_json({"ack": frame_id, "event": event, "data": data}), event=event)


def error_frame(error: CastCommError, frame_id: str | None = None) -> Frame:
    """``error`` as a frame: code, message, whether it is temporary, and the field where one is to blame."""
    data: dict[str, Any] = {"code": error.code, "message": error.message, "temporary": error.retryable}
    if error.attr is not None:
        data["attr"] = error.attr
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        data["retry_after_ms"] = round(retry_after * 1000)
    frame: dict[str, Any] = {"event": "error", "data": data}
    if frame_id is not None:
        frame["ack"] = frame_id
    return Frame(to_json(frame), event="error")


class InternalError(CastCommError):
    """Something failed that the client cannot be told about."""

    code = "internal_error"
    retryable = True
