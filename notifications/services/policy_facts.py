"""What organizations and people have set up about when and how often: plain facts that routing can weigh."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestChoice:
    """How often mail of a category (None: of all) is wanted; ``at`` and ``weekday`` (Monday is 0) are local."""

    category_id: uuid.UUID | None
    frequency: str
    at: dt.time = dt.time(9, 0)
    weekday: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapFacts:
    """At most ``limit`` in a ``period`` on a channel ("" for e-mail, SMS and push together); what happens beyond."""

    channel: str
    period: str
    limit: int
    overflow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SmartSendFacts:
    """That low priority messages may wait for a good moment, and for how long."""

    max_wait: dt.timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CapFull:
    """A cap that leaves this person no room now: how it stands, and when there is room again (UTC)."""

    cap: CapFacts
    used: int
    free_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodMoment:
    """When a low priority message had best go out (UTC), and what speaks for it: the share of the person's and of

    everybody's engagement in that hour, 0 to 1, and how many engagements of the person that rests on.
    """

    due_at: dt.datetime
    weekday: int
    hour: int
    score: float
    usual: float
    observations: int
