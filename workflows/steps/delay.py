"""Wait for a time."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from castcomm.common.errors import Unprocessable
from notifications.services.local_times import moment_of, zone_of
from workflows.durations import DURATION, LONGEST, duration_problem, parse_duration
from workflows.errors import Problem
from workflows.expressions import ExpressionError, evaluate
from workflows.steps.base import Expression, Step, StepContext, StepResult, register
from workflows.steps.common import EXPRESSION

_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_KINDS = ("duration", "untilTime", "untilDate")
_BELONGS = {"weekdays": "untilTime", "timeZone": "untilTime", "offset": "untilDate"}


@register
class DelayStep(Step):
    """One of three. ``duration``: milliseconds, or ISO 8601 such as ``P1DT2H``; 0 goes on at once.

    ``untilTime``: the next time that the clock shows ``09:00``, on one of the ``weekdays`` (0 is Monday), where the
    person is or in ``timeZone``. A time that the clock skips is the end of the gap, one that comes twice its first.

    ``untilDate``: an expression that gives a moment, moved by ``offset`` (ISO 8601, ``-P3D``). Text without a zone is
    the person's own time, and whole days of the offset are days of their calendar. A moment that is past goes on at
    once.
    """

    type = "delay"
    label = "Delay"
    schema = {
        "properties": {
            "duration": DURATION,
            "untilTime": {"type": "string", "maxLength": 5},
            "weekdays": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"type": "integer", "minimum": 0, "maximum": 6},
            },
            "timeZone": {"type": "string", "minLength": 1, "maxLength": 64},
            "untilDate": EXPRESSION,
            "offset": {"type": "string", "maxLength": 50},
        },
    }

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        given = [name for name in _KINDS if name in step]
        if len(given) != 1:
            yield Problem(given[1] if given else "duration", f"Give one of {', '.join(_KINDS)}.")
        for name, owner in _BELONGS.items():
            if name in step and owner not in step:
                yield Problem(name, f"This belongs to {owner}.")
        if "duration" in step:
            yield from duration_problem(step["duration"], "duration")
        if "offset" in step:
            # As far back as forward.
            yield from duration_problem(step["offset"].removeprefix("-"), "offset")
        if "untilTime" in step and not _TIME.fullmatch(step["untilTime"]):
            yield Problem("untilTime", "A time such as 09:00.")
        if "timeZone" in step and zone_of(step["timeZone"]) is dt.UTC and step["timeZone"] != "UTC":
            yield Problem("timeZone", f"There is no time zone {step['timeZone']!r}.")

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        if "untilDate" in step:
            yield Expression("untilDate", step["untilDate"], "date|string")

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        if context.earlier is not None:
            return StepResult.go_on(context.earlier)
        now = context.clock.now()
        if "duration" in step:
            length = parse_duration(step["duration"])
            output: dict[str, Any] = {"duration_ms": length // dt.timedelta(milliseconds=1)}
        else:
            moment = _moment(step, context)
            length, output = moment - now, {"moment": moment.isoformat()}
        if length > LONGEST:
            raise Unprocessable(f"{output['moment']} is more than two years away.")
        if length <= dt.timedelta(0):
            return StepResult.go_on(output)
        if context.time_scale != 1:
            output["time_scale"] = context.time_scale
        until = now + length / context.time_scale
        return StepResult.wait(until, {**output, "until": until.isoformat()})


def next_local_time(
    now: dt.datetime, *, at: dt.time, zone: str, weekdays: Collection[int] = range(7)
) -> dt.datetime:
    """The next moment after ``now`` at which the clocks of ``zone`` show ``at``, on one of the days."""
    day = now.astimezone(zone_of(zone)).date()
    while True:
        moment = moment_of(dt.datetime.combine(day, at), zone)
        if moment > now and day.weekday() in weekdays:
            return moment
        day += dt.timedelta(days=1)


def _moment(step: Mapping[str, Any], context: StepContext) -> dt.datetime:
    own_zone = str(context.person.fields.get("time_zone") or "UTC")
    if "untilTime" in step:
        return next_local_time(
            context.clock.now(),
            at=dt.time.fromisoformat(step["untilTime"]),
            zone=step.get("timeZone", own_zone),
            weekdays=step.get("weekdays", range(7)),
        )
    try:
        moment = _date(step["untilDate"], own_zone, context)
        return _moved(moment, parse_duration(step.get("offset", 0)), own_zone)
    except OverflowError as error:
        raise Unprocessable("There is no such day.") from error


def _date(source: str, zone: str, context: StepContext) -> dt.datetime:
    try:
        value = evaluate(source, context.values, now=context.clock.now()).value
        found = dt.datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    except (ExpressionError, ValueError) as error:
        raise Unprocessable(f"untilDate, {source!r}, gives no date: {error}") from error
    if not isinstance(found, dt.datetime):
        raise Unprocessable(f"untilDate, {source!r}, gives no date.")
    return found if found.tzinfo else moment_of(found, zone)


def _moved(moment: dt.datetime, offset: dt.timedelta, zone: str) -> dt.datetime:
    """Whole days are days of the calendar there, so that 09:00 stays 09:00; the rest is a length of time."""
    sign, size = (-1 if offset < dt.timedelta(0) else 1), abs(offset)
    days, rest = dt.timedelta(days=size.days), size - dt.timedelta(days=size.days)
    if days:
        local = moment.astimezone(zone_of(zone)).replace(tzinfo=None) + sign * days
        moment = moment_of(local, zone)
    return moment.astimezone(dt.UTC) + sign * rest
