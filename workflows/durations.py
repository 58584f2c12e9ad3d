"""Lengths of time as definitions write them: milliseconds, or ISO 8601 such as ``P1DT2H``."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from workflows.errors import Problem

LONGEST = dt.timedelta(days=731)
DURATION: dict[str, Any] = {"type": ["integer", "string"], "minimum": 0, "maxLength": 50}
_ISO = re.compile(
    r"(?P<sign>[+-])?P(?!$)(?:(?P<weeks>\d{1,6})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.ASCII,
)


def parse_duration(value: int | str) -> dt.timedelta:
    """Whole milliseconds, or ISO 8601 with weeks, days, hours, minutes and seconds, signed if need be.

    Years and months are no lengths of time. Raises ValueError with a sentence.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return dt.timedelta(milliseconds=min(value, 10**14))
    found = _ISO.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("Milliseconds, or a length such as PT30M, P1D, P1DT2H or P2W.")
    parts = {name: int(number) for name, number in found.groupdict().items() if number and name != "sign"}
    return dt.timedelta(**parts) * (-1 if found["sign"] == "-" else 1)


def duration_problem(value: Any, path: str, *, least: dt.timedelta = dt.timedelta(0)) -> Iterator[Problem]:
    """What is wrong with a duration that a step waits: unreadable, too short, or above two years."""
    try:
        length = parse_duration(value)
    except ValueError as error:
        yield Problem(path, str(error))
        return
    if length < least:
        yield Problem(
            path, "This must not be below zero." if not least else f"At least {least.seconds} seconds."
        )
    elif length > LONGEST:
        yield Problem(path, "At most two years.")
