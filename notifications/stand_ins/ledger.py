"""What a stand-in remembers: counters, the last messages, and whom it served twice. Bounded in memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

MOST_KEPT_BYTES = 32 * 1024 * 1024
MOST_IDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that the provider has taken, whether or not it could still say so.

    ``to`` is the address, number, token or device; several mail addresses are joined by ", ". ``body`` is the call's
    content as the provider reads it (dict, list or text); ``headers`` are the call's, with lower-case names.
    ``content`` is the call's as it came, kept only by ``hook`` (for its signature) and ``webpush`` (encrypted there).
    """

    to: str
    message_id: str
    delivery_id: str = ""
    idempotency_key: str = ""
    body: Any = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    size: int = 0
    content: bytes = field(default=b"", repr=False)


class Ledger:
    """Counts calls and accepted messages; safe to read from other threads.

    A duplicate is a message with a delivery id that this ledger has accepted before for the same recipient.
    """

    def __init__(self, *, keep: int) -> None:
        self._keep = keep
        self._changed = threading.Condition()
        self.forget()

    def forget(self) -> None:
        with self._changed:
            self._kept: deque[Accepted] = deque()
            self._bytes = 0
            self._seen: dict[bytes, None] = {}
            self._calls = self._accepted = self._duplicates = 0
            self._changed.notify_all()

    def count_call(self) -> None:
        with self._changed:
            self._calls += 1
            self._changed.notify_all()

    def record(self, messages: tuple[Accepted, ...]) -> None:
        with self._changed:
            for message in messages:
                self._accepted += 1
                self._kept.append(message)
                self._bytes += message.size
                self._count_duplicate(message)
            while self._kept and (len(self._kept) > self._keep or self._bytes > MOST_KEPT_BYTES):
                self._bytes -= self._kept.popleft().size
            self._changed.notify_all()

    def _count_duplicate(self, message: Accepted) -> None:
        if not message.delivery_id:
            return
        key = f"{message.delivery_id} {message.to}".encode()
        if key in self._seen:
            self._duplicates += 1
            return
        self._seen[key] = None
        if len(self._seen) > MOST_IDS:
            del self._seen[next(iter(self._seen))]

    def kept(self) -> list[Accepted]:
        """The last accepted messages, the oldest first."""
        with self._changed:
            return list(self._kept)

    @property
    def calls(self) -> int:
        return self._calls

    @property
    def accepted(self) -> int:
        return self._accepted

    @property
    def duplicates(self) -> int:
        return self._duplicates

    def wait_for(self, *, calls: int = 0, accepted: int = 0, timeout: float = 10.0) -> bool:
        """Wait until so many have come in all; False when ``timeout`` (seconds) passes before."""
        deadline = time.monotonic() + timeout
        with self._changed:
            return self._changed.wait_for(
                lambda: self._calls >= calls and self._accepted >= accepted,
                max(0.0, deadline - time.monotonic()),
            )
