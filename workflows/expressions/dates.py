"""Moments and lengths of time in expressions. Moments are aware; one without a zone is in UTC."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

_UNITS = (("D", 86_400), ("H", 3_600), ("M", 60), ("S", 1))


class Calculation(NamedTuple):
    """What comes of two kinds, and how."""

    returns: str
    call: Callable[[Any, Any], Any]


# Which kinds can be calculated with where one is a moment or a length; every other pair is an error.
TIMES = {
    ("date", "-", "date"): Calculation("duration", operator.sub),
    ("date", "+", "duration"): Calculation("date", operator.add),
    ("duration", "+", "date"): Calculation("date", operator.add),
    ("date", "-", "duration"): Calculation("date", operator.sub),
    ("duration", "+", "duration"): Calculation("duration", operator.add),
    ("duration", "-", "duration"): Calculation("duration", operator.sub),
    ("duration", "*", "number"): Calculation("duration", operator.mul),
    ("number", "*", "duration"): Calculation("duration", operator.mul),
    ("duration", "/", "number"): Calculation("duration", operator.truediv),
    ("duration", "/", "duration"): Calculation("number", operator.truediv),
}


def read_date(text: str) -> dt.datetime | None:
    """The moment that ISO 8601 ``text`` names (a day is its midnight), or None when it names none."""
    if len(text) > 40:
        return None
    try:
        found = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def write_duration(length: dt.timedelta) -> str:
    """ISO 8601 in days, hours, minutes and whole seconds, such as ``P1DT2H``; ``-`` in front of a negative one."""
    seconds = round(abs(length.total_seconds()))
    parts: dict[str, str] = {}
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        parts[unit] = f"{count}{unit}" if count else ""
    time = parts["H"] + parts["M"] + parts["S"]
    written = f"P{parts['D']}" + (f"T{time}" if time else "")
    sign = "-" if length < dt.timedelta(0) else ""
    return sign + (written if written != "P" else "PT0S")
