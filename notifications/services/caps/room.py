"""How much room frequency caps leave a person: asked before routing decides, counted when what it decided is written.

Without caps, and for what is critical or exempt, there is nothing to ask and nothing to count.
"""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from notifications.services.policy_facts import CapFull
from notifications.vocabulary import DeliveryStatus

if TYPE_CHECKING:
    from notifications.services.catalog import Catalog, EventTypeFacts
    from notifications.services.planning import PlannedNotification


class Room(ABC):
    """What the caps leave the people of one call."""

    @abstractmethod
    def full(self, user_id: uuid.UUID | None) -> Mapping[str, CapFull]:
        """The channels on which the person may get nothing more now, and the cap that says so."""

    @abstractmethod
    def beyond(self, user_id: uuid.UUID | None, channels: Sequence[str]) -> Mapping[str, CapFull]:
        """Of ``channels``, on all of which something is to go out at once, those for which there is no room then."""

    @abstractmethod
    def take(self, user_id: uuid.UUID | None, channel: str) -> None:
        """Count one message that goes out now."""

    def count(self, planned: Sequence[PlannedNotification]) -> None:
        """Count what goes out now; call it once, after the rows were written, in the transaction of ``room_for``."""
        for one in planned:
            for delivery in one.deliveries:
                if delivery.status == DeliveryStatus.PENDING:
                    self.take(one.person.user_id, delivery.channel)


class _NoCaps(Room):
    def full(self, user_id: uuid.UUID | None) -> Mapping[str, CapFull]:
        return {}

    def beyond(self, user_id: uuid.UUID | None, channels: Sequence[str]) -> Mapping[str, CapFull]:
        return {}

    def take(self, user_id: uuid.UUID | None, channel: str) -> None:
        pass

    def count(self, planned: Sequence[PlannedNotification]) -> None:
        pass


NO_CAPS: Room = _NoCaps()


@contextmanager
def room_for(
    *,
    organization_id: uuid.UUID,
    catalog: Catalog,
    event_type: EventTypeFacts,
    critical: bool,
    user_ids: Sequence[uuid.UUID | None],
    now: dt.datetime,
) -> Iterator[Room]:
    """The room of these people (None: bare addresses, which have no caps) for this event type.

    Where caps hold it is a transaction, in which the people's counters are locked in the order of their ids: whoever
    sends to the same people at the same time waits, and sees what was counted.
    """
    yield NO_CAPS
