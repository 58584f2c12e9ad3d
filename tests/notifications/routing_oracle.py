"""What routing must answer, worked out the slow way: every rule on its own, and local times read off the clock.

It shares no code with ``notifications.services.routing`` and ``local_times``: clocks are read quarter hour by quarter
hour, so that everything given to it must lie on quarter hours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

UNKNOWN = "Not/AZone"
STEP = dt.timedelta(minutes=15)
SPECIFIC = [(scope, named) for scope in ("event_type", "category", "global") for named in (True, False)]
Answer = tuple[str, str, dt.datetime]


def wall(moment: dt.datetime, zone: str) -> dt.datetime:
    """What a clock on the wall shows."""
    return moment.astimezone(ZoneInfo("UTC" if zone == UNKNOWN else zone)).replace(tzinfo=None)


def readings(zone: str, since: dt.datetime, days: int) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    for n in range(days * 96):
        moment = since + n * STEP
        yield moment, wall(moment, zone)


def first_reading(local: dt.datetime, zone: str) -> dt.datetime:
    """The first moment at which the clock shows ``local`` or later."""
    near = local.replace(tzinfo=dt.UTC) - dt.timedelta(hours=15)
    return next(moment for moment, shown in readings(zone, near, 2) if shown >= local)


def end_of_quiet(period: Any, moment: dt.datetime) -> dt.datetime | None:
    """When the quiet that reigns at ``moment`` is over."""
    for back in (0, 1):
        day = wall(moment, period.zone).date() - dt.timedelta(days=back)
        if day.weekday() not in period.days:
            continue
        starts = first_reading(dt.datetime.combine(day, period.start), period.zone)
        last = dt.datetime.combine(day + dt.timedelta(days=period.end <= period.start), period.end)
        near = last.replace(tzinfo=dt.UTC) - dt.timedelta(hours=15)
        ends = max(m for m, shown in readings(period.zone, near, 2) if shown < last) + STEP
        if starts <= moment < ends:
            return ends
    return None


def free_from(period: Any, moment: dt.datetime) -> dt.datetime:
    for _ in range(8):
        ends = end_of_quiet(period, moment)
        if ends is None:
            break
        moment = ends
    return moment


def digest_time(choice: Any, zone: str, now: dt.datetime) -> dt.datetime:
    if choice.frequency == "hourly":
        return next(m for m, shown in readings(zone, now + STEP, 2) if shown.minute == 0)
    today = wall(now, zone).date()
    days = [today + dt.timedelta(days=n) for n in range(-1, 9)]
    if choice.frequency == "weekly":
        days = [day for day in days if day.weekday() == choice.weekday]
    times = (first_reading(dt.datetime.combine(day, choice.at), zone) for day in days)
    return next(moment for moment in times if moment > now)


def switch_for(person: Any, channel: str) -> Any:
    for personal in (True, False):
        for scope, on_channel in SPECIFIC:
            for switch in person.switches:
                named = channel if on_channel else ""
                if (switch.scope, switch.channel, switch.is_personal) == (scope, named, personal):
                    return switch
    return None


def answer(channel: str, event: Any, person: Any, given: dict[str, Any]) -> Answer:
    """Action, reason and due time for one channel."""
    now: dt.datetime = given["now"]
    wanted, scheduled = given["scheduled_for"], "scheduled"
    if given["scheduled_local"] is not None:
        wanted, scheduled = first_reading(given["scheduled_local"], person.zone), "local_time"
    later = wanted if wanted is not None and wanted > now else None
    asked_later = ("defer", scheduled, later or now)
    switch = switch_for(person, channel)
    own = switch is not None and switch.is_personal
    agreed = own and switch.scope in ("category", "event_type")
    external = channel != "in_app"
    waits_well = event.is_digestible and event.priority != 0
    period = person.quiet_by_channel.get(channel, person.quiet)
    free = free_from(period, later or now) if period is not None and external else None
    quiet = free is not None and free > (later or now)
    cap = person.full.get(channel)
    overflow = cap.cap.overflow if cap is not None else ""
    collected = overflow == "digest" and person.overflow is not None and waits_well
    usual = "preferred" if own else "default" if given["requested"] is None else "requested"
    rules: list[tuple[bool, Any]] = [
        (channel not in given["contents"], lambda: ("suppress", "no_template", now)),
        (channel not in person.addresses, lambda: ("suppress", "no_address", now)),
        (channel in person.suppressed, lambda: ("suppress", "suppression", now)),
        (event.is_critical and later is not None, lambda: asked_later),
        (event.is_critical, lambda: ("send", "critical", now)),
        (switch is not None and not switch.enabled, lambda: ("suppress", "preference", now)),
        (external and event.requires_consent and not agreed, lambda: ("suppress", "no_consent", now)),
        (
            channel == "email" and waits_well and person.digest is not None and later is None,
            lambda: ("digest", "digest", digest_time(person.digest, person.zone, now)),
        ),
        (quiet and event.quiet_hours_policy == "drop", lambda: ("suppress", "quiet_hours_drop", now)),
        (quiet, lambda: ("defer", "quiet_hours", free)),
        (later is not None, lambda: asked_later),
        (external and overflow == "drop", lambda: ("suppress", "cap_drop", now)),
        (
            external and collected,
            lambda: ("digest", "cap", digest_time(person.overflow, person.zone, now)),
        ),
        (external and cap is not None, lambda: ("defer", "cap_wait", max(cap.free_at, now))),
        (
            external and event.priority == 3 and person.moment is not None and person.moment.due_at > now,
            lambda: ("defer", "smart_time", person.moment.due_at),
        ),
        (True, lambda: ("send", usual, now)),
    ]
    result: Answer = next(make() for applies, make in rules if applies)
    return result
