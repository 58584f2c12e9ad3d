"""When a low priority message had best go out to each person: from what they opened and read, and at what hour."""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from notifications.services.policy_facts import GoodMoment

if TYPE_CHECKING:
    from notifications.services.catalog import Catalog
    from notifications.services.local_times import QuietPeriod


class Moments(ABC):
    """A good moment for each person of one call."""

    @abstractmethod
    def of(self, user_id: uuid.UUID | None, *, quiet: Sequence[QuietPeriod] = ()) -> GoodMoment | None:
        """When to send to this person, outside of their quiet hours; None for at once."""


class _NoMoments(Moments):
    def of(self, user_id: uuid.UUID | None, *, quiet: Sequence[QuietPeriod] = ()) -> GoodMoment | None:
        return None


NO_MOMENTS: Moments = _NoMoments()


def moments_for(
    *,
    organization_id: uuid.UUID,
    catalog: Catalog,
    priority: int,
    user_ids: Sequence[uuid.UUID | None],
    zones: Mapping[uuid.UUID, str],
    now: dt.datetime,
    until: dt.datetime | None = None,
) -> Moments:
    """Good moments for these people, whose time zones are ``zones``, before ``until`` (when the message expires).

    No query unless the organization has smart send on and the priority is low.
    """
    return NO_MOMENTS
