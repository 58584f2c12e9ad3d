"""Why routing decided as it did, as sentences: the reason's own, and what was weighed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from notifications.services.digests.schedule import choice_of
from notifications.services.local_times import zone_of
from notifications.vocabulary import Channel, Reason

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
Detail = Mapping[str, Any]


def why(reason: str, detail: Detail, *, is_waiting: bool = True) -> str:
    """The sentences for a reason (vocabulary.Reason, or empty) and the detail of its decision.

    ``is_waiting`` False leaves out until when it is to wait.
    """
    if reason not in Reason.values:
        return ""
    more = _MORE.get(reason)
    parts = [Reason(reason).label, more(detail) if more else ""]
    if is_waiting and detail.get("until"):
        until = moment(detail["until"], detail.get("zone"))
        if detail.get("cadence"):
            parts.append(f"The {digest_name(detail['cadence'])} closes {until}.")
        elif reason in _WAITING:
            parts.append(f"Until {until}.")
    return " ".join(part for part in parts if part)


def moment(when: str | dt.datetime, zone: str | None = None) -> str:
    """A time (ISO 8601) by the clocks of UTC and, if that is another one, of the person's zone."""
    utc = (dt.datetime.fromisoformat(when) if isinstance(when, str) else when).astimezone(dt.UTC)
    text = f"{utc:%-d %b %Y, %H:%M} UTC"
    local = utc.astimezone(zone_of(zone)) if zone else utc
    if local.utcoffset() == dt.timedelta(0):
        return text
    day = "" if local.date() == utc.date() else f"{local:%-d %b}, "
    return f"{text} ({day}{local:%H:%M} in {zone})"


def digest_name(cadence: str) -> str:
    """``weekly.0@09:00`` as ``weekly digest (Mondays at 09:00)``."""
    choice = choice_of(cadence)
    if choice.frequency == "weekly":
        return f"weekly digest ({_DAYS[choice.weekday]}s at {choice.at:%H:%M})"
    return f"daily digest ({choice.at:%H:%M})" if choice.frequency == "daily" else "hourly digest"


def _switch(detail: Detail) -> str:
    if not detail.get("scope"):
        return ""
    return f"The switch: {detail['scope']}, channel {detail['channel']}, set by the {detail['set_by']}."


def _local_time(detail: Detail) -> str:
    if not detail.get("local"):
        return ""
    local = dt.datetime.fromisoformat(detail["local"])
    return f"{local:%-d %b %Y, %H:%M}, where the person is."


def _cap(detail: Detail) -> str:
    if "limit" not in detail:
        return ""
    counts = detail.get("counts", "*")
    where = "e-mail, SMS and push together" if counts == "*" else Channel(counts).label
    return f"{detail['used']} of {detail['limit']} in the last {detail['period']} ({where})."


def _smart_time(detail: Detail) -> str:
    if "hour" not in detail:
        return ""
    seen = detail["observations"]
    own = f"what this person did {seen} times" if seen != 1 else "what this person did once"
    share, usual = _percent(detail["score"]), _percent(detail["usual"])
    return (
        f"{_DAYS[detail['weekday']]}s at {detail['hour']:02}:00: {share} of the week's reading is expected then, "
        f"from {own} and what everybody does ({usual})."
    )


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


_MORE: dict[str, Callable[[Detail], str]] = {
    Reason.PREFERENCE: _switch,
    Reason.LOCAL_TIME: _local_time,
    Reason.SMART_TIME: _smart_time,
    Reason.CAP: _cap,
    Reason.CAP_WAIT: _cap,
    Reason.CAP_DROP: _cap,
}
_WAITING = frozenset(
    {Reason.QUIET_HOURS, Reason.SCHEDULED, Reason.LOCAL_TIME, Reason.SMART_TIME, Reason.CAP_WAIT}
)
