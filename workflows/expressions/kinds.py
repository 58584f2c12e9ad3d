"""What kind a value is, when two are the same, and which texts stand for moments."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from workflows.expressions.dates import read_date

_MOMENT = re.compile(r"\s*\d{4}-\d\d-\d\d", re.ASCII)


def kind_of(value: Any) -> str:
    """The type of a value as expressions name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dt.datetime):
        return "date"
    if isinstance(value, dt.timedelta):
        return "duration"
    return "list" if isinstance(value, list | tuple) else "object"


def same(left: Any, right: Any) -> bool:
    """Whether both are the same value: 1 is 1.0, but neither is true, at whatever depth they stand.

    Text beside a moment is read as one. Without recursion: data may be nested deeper than Python's stack.
    """
    pending = [(left, right)]
    while pending:
        one, other = beside_moment(*pending.pop())
        if kind_of(one) != kind_of(other):
            return False
        if isinstance(one, list | tuple):
            if len(one) != len(other):
                return False
            pending.extend(zip(one, other, strict=True))
        elif isinstance(one, Mapping):
            if one.keys() != other.keys():
                return False
            pending.extend((value, other[key]) for key, value in one.items())
        elif one != other:
            return False
    return True


def beside_moment(left: Any, right: Any) -> tuple[Any, Any]:
    """Text beside a moment is read as one, where it names one: data has its moments as text."""
    if isinstance(left, dt.datetime) and isinstance(right, str):
        return left, read_date(right) or right
    if isinstance(left, str) and isinstance(right, dt.datetime):
        return read_date(left) or left, right
    return left, right


def as_moments(left: Any, right: Any) -> tuple[Any, Any]:
    """As ``beside_moment``; also text beside a length of time, and two texts that both name moments.

    Such text begins with a day as in 2026-12-24. What is compared or calculated with is meant, not how it is written:
    00:30+05:00 is earlier than midnight in UTC.
    """
    if isinstance(left, str) and isinstance(right, dt.timedelta):
        return _moment(left) or left, right
    if isinstance(left, dt.timedelta) and isinstance(right, str):
        return left, _moment(right) or right
    if isinstance(left, str) and isinstance(right, str):
        first, second = _moment(left), _moment(right)
        return (first, second) if first and second else (left, right)
    return beside_moment(left, right)


def _moment(text: str) -> dt.datetime | None:
    return read_date(text) if _MOMENT.match(text) else None
