"""What becomes of a send that is only simulated: plain objects, nothing of it is stored."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from notifications.services.explaining.words import why
from notifications.services.planning import Message, PlannedNotification
from notifications.vocabulary import DeliveryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A decision of routing: when it was made, until when it holds, and in ``detail`` what was weighed."""

    at: dt.datetime
    action: str
    reason: str
    until: dt.datetime
    detail: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """The decision in words."""
        return why(self.reason, self.detail)


@dataclass(slots=True, kw_only=True)
class SimulatedDelivery:
    """A notification on one channel. ``weighed`` has every decision in order, the first one made when it was sent.

    ``went_out_at`` is when it left by the virtual clock; None as long as it waits and when it never will. What went
    out in a digest left with ``digest``.
    """

    id: uuid.UUID
    channel: str
    status: DeliveryStatus
    reason: str
    weighed: list[Weighed]
    due_at: dt.datetime
    error: str = ""
    subject: str = ""
    went_out_at: dt.datetime | None = None
    digest: SimulatedDigest | None = None
    since: dt.datetime | None = None

    @property
    def left_at(self) -> dt.datetime | None:
        """When it reached the person, by itself or in its digest."""
        if self.digest is not None and self.status == DeliveryStatus.DIGESTED:
            return self.digest.left_at
        return self.went_out_at


@dataclass(slots=True, kw_only=True)
class SimulatedNotification:
    """One send to one person at ``message.now``; ``title`` is what its inbox row or digest would say."""

    message: Message
    planned: PlannedNotification
    deliveries: list[SimulatedDelivery]

    @property
    def id(self) -> uuid.UUID:
        return self.planned.id

    @property
    def title(self) -> str:
        return self.planned.title


@dataclass(slots=True, kw_only=True)
class SimulatedDigest:
    """A person's digest: the window that was open, or that a simulated send opened.

    ``waiting_before`` is how many real notifications it held already; ``mail`` the mail that it became, once it closed
    and something in it was still wanted.
    """

    id: uuid.UUID
    cadence: str
    zone: str
    closes_at: dt.datetime
    waiting_before: int = 0
    items: list[tuple[SimulatedNotification, SimulatedDelivery]] = field(default_factory=list)
    is_closed: bool = False
    mail: SimulatedNotification | None = None

    @property
    def left_at(self) -> dt.datetime | None:
        """When its mail went out."""
        return self.mail.deliveries[0].left_at if self.mail is not None else None

    @property
    def titles(self) -> list[str]:
        """What it tells of."""
        return [one.title or one.message.event_type.name for one in self.told()]

    def told(self) -> list[SimulatedNotification]:
        """The notifications in it that are still wanted, in order, each once."""
        waiting = (DeliveryStatus.IN_DIGEST, DeliveryStatus.DIGESTED)
        return list({one.id: one for one, delivery in self.items if delivery.status in waiting}.values())
