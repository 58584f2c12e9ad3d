"""Frames on their way out: serialised once, by whoever publishes.

In Redis a frame travels as ``<d|e><seq> <event>\\n<json>``: d for durable, e for ephemeral, the
sequence number (empty when there is none) and the event stand before the JSON so that no process that passes
the frame on has to parse it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from django.utils.functional import Promise

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


def _spell(value: object) -> str:
    if isinstance(value, Promise | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be put into a frame")


def to_json(value: object) -> bytes:
    """JSON with UUIDs and aware datetimes (ISO 8601, UTC as Z) spelled out; raises TypeError for the rest."""
    return orjson.dumps(value, default=_spell, option=_OPTIONS)


def websocket_text(payload: bytes) -> bytes:
    """One unmasked, unfragmented text frame of RFC 6455 section 5.2, as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Frame:
    """One outgoing frame, shared by every socket it goes to.

    ``text`` is the JSON (UTF-8), ``wire`` the same as a WebSocket frame, ``seq`` is 0 when the frame has
    none, ``ephemeral`` frames may be dropped. ``parts`` is empty but for ``join``.
    """

    __slots__ = ("ephemeral", "event", "parts", "seq", "text", "wire")

    def __init__(self, text: bytes, *, event: str = "", seq: int = 0, ephemeral: bool = False) -> None:
        self.text = text
        self.wire = websocket_text(text)
        self.event = event
        self.seq = seq
        self.ephemeral = ephemeral
        self.parts: tuple[Frame, ...] = ()

    @classmethod
    def join(cls, frames: Sequence[Frame]) -> Frame:
        """Several frames that are written as one; ``parts`` has them for whoever cannot do that."""
        joined = cls(b"")
        joined.wire = b"".join([frame.wire for frame in frames])
        joined.parts = tuple(frames)
        return joined


def encode(frame: Mapping[str, Any], *, ephemeral: bool = False) -> bytes:
    """The form in which ``frame`` travels through Redis.

    Raises ValueError when it has no event or its seq is not a whole number, TypeError when it cannot be JSON.
    """
    event = frame.get("event")
    if not isinstance(event, str) or not event or not event.isascii() or "\n" in event or " " in event:
        raise ValueError(f"a frame needs an event name, not {event!r}")
    seq = frame.get("seq")
    if seq is not None and (not isinstance(seq, int) or seq < 0):
        raise ValueError(f"the seq of a frame is a whole number, not {seq!r}")
    head = f"{'e' if ephemeral else 'd'}{'' if seq is None else seq} {event}\n"
    return head.encode("ascii") + to_json(frame)


def decode(payload: bytes) -> Frame:
    """The frame that ``encode`` wrote; raises ValueError for anything else."""
    head, newline, text = payload.partition(b"\n")
    mark, _, event = head.partition(b" ")
    kind = mark[:1]
    if not newline or kind not in (b"d", b"e"):
        raise ValueError("not a frame")
    return Frame(text, event=event.decode("ascii"), seq=int(mark[1:] or 0), ephemeral=kind == b"e")
