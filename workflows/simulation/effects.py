"""What steps want done, done to objects: the port ``Effects`` of a simulation, for one person."""

from __future__ import annotations

import uuid

from castcomm.common.clock import VirtualClock
from notifications.services.simulating.outbox import SimulatedOutbox
from notifications.services.simulating.stories import SimulatedNotification
from workflows.engine.live import options_of
from workflows.engine.ports import Send, Sent


class ListedEffects:
    """Nothing leaves here. What a step sent is listed in ``sent`` until it is taken."""

    def __init__(self, clock: VirtualClock, outbox: SimulatedOutbox) -> None:
        self._clock = clock
        self._outbox = outbox
        self._sent: list[SimulatedNotification] = []

    def take_sent(self) -> list[SimulatedNotification]:
        """What was sent since the last time that this was asked."""
        taken, self._sent = self._sent, []
        return taken

    def send(self, wanted: Send) -> Sent:
        """Decide as for a real send at this moment of the virtual clock."""
        made = self._outbox.send(now=self._clock.now(), recipient=wanted.user_id, **options_of(wanted))
        self._sent.append(made)
        return Sent(uuid.uuid5(uuid.NAMESPACE_OID, wanted.key), made.id)
