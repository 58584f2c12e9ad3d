"""What steps want done, done to objects: the port ``Effects`` of a simulation, for one person."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from castcomm.common.clock import VirtualClock
from notifications.services.simulating.outbox import SimulatedOutbox
from notifications.services.simulating.stories import SimulatedNotification
from workflows.engine.awaiting import fits
from workflows.engine.live import options_of
from workflows.engine.ports import (
    Assign,
    AwaitEvent,
    DigestClosed,
    DigestJoined,
    JoinDigest,
    Origin,
    Send,
    Sent,
)
from workflows.simulation.leaf_effects import ListedLeafEffects


@dataclass(slots=True)
class _Window:
    id: uuid.UUID
    owner: Origin
    opened_at: dt.datetime
    closes_at: dt.datetime
    items: list[Mapping[str, Any]] = field(default_factory=list)
    closed_at: dt.datetime | None = None


class ListedEffects(ListedLeafEffects):
    """Nothing leaves here. What a step sent is listed in ``sent`` until it is taken."""

    def __init__(
        self,
        clock: VirtualClock,
        outbox: SimulatedOutbox,
        set_attributes: Callable[[Mapping[str, Any]], None],
    ) -> None:
        super().__init__(set_attributes)
        self._clock = clock
        self._outbox = outbox
        self._sent: list[SimulatedNotification] = []
        self._windows: dict[tuple[str, str], list[_Window]] = {}
        self._waiting: dict[uuid.UUID, AwaitEvent] = {}
        self._arrived: dict[uuid.UUID, Mapping[str, Any]] = {}
        self._events: list[tuple[dt.datetime, str, Mapping[str, Any]]] = []
        self.variants: dict[str, str] = {}
        self.woken: dict[uuid.UUID, dt.datetime] = {}

    def take_sent(self) -> list[SimulatedNotification]:
        """What was sent since the last time that this was asked."""
        taken, self._sent = self._sent, []
        return taken

    def send(self, wanted: Send) -> Sent:
        """Decide as for a real send at this moment of the virtual clock."""
        made = self._outbox.send(now=self._clock.now(), recipient=wanted.user_id, **options_of(wanted))
        self._sent.append(made)
        return Sent(uuid.uuid5(uuid.NAMESPACE_OID, wanted.key), made.id)

    def take_woken(self) -> dict[uuid.UUID, dt.datetime]:
        """The sleeping steps that are due at another time by now, since the last time that this was asked."""
        taken, self.woken = self.woken, {}
        return taken

    def report(self, event: str, data: Mapping[str, Any]) -> None:
        """The event happens: it wakes the steps that wait for it."""
        now = self._clock.now()
        self._events.append((now, event, data))
        for step_run, wanted in list(self._waiting.items()):
            if wanted.event == event and fits(wanted.match, data, wanted.data, now=now):
                self._arrived[step_run] = data
                del self._waiting[step_run]
                self.woken[step_run] = now

    def join_digest(self, wanted: JoinDigest) -> DigestJoined:
        windows = self._windows.setdefault((wanted.origin.scope, wanted.key), [])
        passes = False
        if not windows or windows[-1].closed_at is not None:
            last = max((one.closed_at or one.opened_at for one in windows), default=None)
            passes = wanted.look_back is not None and (last is None or last <= wanted.now - wanted.look_back)
            windows.append(
                _Window(
                    uuid.uuid5(wanted.origin.step_run_id, wanted.key), wanted.origin, wanted.now, wanted.until
                )
            )
        window = windows[-1]
        window.items.append(wanted.item)
        if wanted.sliding_max is not None:
            window.closes_at = min(wanted.until, window.opened_at + wanted.sliding_max)
        if passes or len(window.items) >= wanted.limit:
            window.closed_at = wanted.now
        if window.owner.step_run_id != wanted.origin.step_run_id:
            self.woken[window.owner.step_run_id] = window.closed_at or window.closes_at
        return DigestJoined(
            str(window.id), window.owner.execution_id, window.closes_at, window.closed_at is not None
        )

    def close_digest(self, window: str, *, now: dt.datetime) -> DigestClosed | dt.datetime:
        found = next(one for windows in self._windows.values() for one in windows if str(one.id) == window)
        if found.closed_at is None and found.closes_at > now:
            return found.closes_at
        found.closed_at = found.closed_at or now
        return DigestClosed(found.items)

    def await_event(self, wanted: AwaitEvent) -> Mapping[str, Any] | None:
        for moment, event, data in self._events if wanted.since is not None else ():
            is_it = event == wanted.event and wanted.since is not None and moment >= wanted.since
            if is_it and fits(wanted.match, data, wanted.data, now=wanted.now):
                return data
        self._waiting[wanted.origin.step_run_id] = wanted
        return None

    def awaited_event(self, origin: Origin, *, now: dt.datetime) -> Mapping[str, Any] | None:
        self._waiting.pop(origin.step_run_id, None)
        return self._arrived.get(origin.step_run_id)

    def assign(self, wanted: Assign) -> str:
        """The variant that is assumed, or recorded of the person, or else chosen."""
        return self.variants.setdefault(wanted.experiment, wanted.variant)
