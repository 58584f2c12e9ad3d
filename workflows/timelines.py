"""Timelines: what a run did, step by step, in one shape for runs that happened and runs that were simulated."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOT_REACHED = "not_reached"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)")
_OF_THE_CLOCK = {"time_scale"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What routing decided about a channel at a moment, and until when that holds."""

    at: dt.datetime
    action: str
    reason: str
    until: dt.datetime | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineSend:
    """One channel of what a step sent: every decision in order, how it stands, and when it left."""

    channel: str
    status: str
    reason: str
    decisions: Sequence[Decided]
    left_at: dt.datetime | None
    subject: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineStep:
    """One step as a reader wants it: what ran, and what the definition still has to come.

    ``status`` is that of the step run, or ``not_reached``. ``due_at`` matters while it waits.
    """

    path: str
    type: str
    name: str
    status: str
    input: Mapping[str, Any]
    due_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    attempts: int = 0
    result: Mapping[str, Any] | None = None
    error: str = ""
    notification_id: uuid.UUID | None = None
    sends: Sequence[TimelineSend] = ()


def comparable(
    timeline: Iterable[TimelineStep],
    *,
    time_scale: float | None = None,
    resolution: dt.timedelta = dt.timedelta(seconds=1),
) -> list[dict[str, Any]]:
    """What two timelines have in common when the same happened: steps, relative times, results and sends.

    ``after`` is the time in seconds, rounded to ``resolution``, that the run had *waited* when the step was done. By
    how much workers were late is not in it, so that a run on real time, whose delays ``time_scale`` had divided,
    compares with a simulated one; delays record the scale themselves. Ids and moments in results differ from run to
    run; that there is one is what counts.
    """
    made = []
    for step, waited in with_waits(timeline, time_scale=time_scale):
        row: dict[str, Any] = {"path": step.path, "type": step.type, "status": step.status}
        if step.status != NOT_REACHED:
            row["after"] = round(waited / resolution) * resolution.total_seconds()
            row["result"] = _lasting(step.result)
            row["sends"] = [_comparable_send(send) for send in step.sends]
        made.append(row)
    return made


def with_waits(
    timeline: Iterable[TimelineStep], *, time_scale: float | None = None
) -> Iterator[tuple[TimelineStep, dt.timedelta]]:
    """Each step with how long the run had waited when it was done, or will have when it is due."""
    waited = dt.timedelta()
    for step in timeline:
        if step.started_at is not None and step.due_at is not None:
            scale = time_scale or (step.result or {}).get("time_scale", 1)
            waited += max(step.due_at - step.started_at, dt.timedelta()) * scale
        yield step, waited


def _comparable_send(send: TimelineSend) -> dict[str, Any]:
    return {
        "channel": send.channel,
        "decisions": [
            {
                "action": one.action,
                "reason": one.reason,
                "waits": (one.until - one.at).total_seconds() if one.until and one.until > one.at else 0.0,
            }
            for one in send.decisions
        ],
    }


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _lasting(one) for name, one in value.items() if name not in _OF_THE_CLOCK}
    if isinstance(value, list | tuple):
        return [_lasting(one) for one in value]
    if isinstance(value, str):
        return _MOMENT.sub("(moment)", _UUID.sub("(id)", value))
    return value
