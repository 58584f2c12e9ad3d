"""What expressions may call: these functions, by these names, and nothing else.

Types are those of ``check_types``: string, number, boolean, date, duration, list, object, any. A function whose
argument is null is null, except ``default``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.durations import parse_duration
from workflows.expressions.dates import read_date
from workflows.expressions.kinds import kind_of, same

DAY = 86_400.0


class BadArgument(Exception):
    """Says in a sentence why a function has no answer."""


@dataclass(frozen=True, slots=True)
class Function:
    """``parameters`` are the types of its arguments; several are separated by ``|``. ``call`` is given now, too."""

    name: str
    parameters: tuple[str, ...]
    returns: str
    description: str
    call: Callable[..., Any]

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


def call(function: Function, arguments: Sequence[Any], *, now: dt.datetime) -> Any:
    """The function's answer; raises BadArgument. The number of arguments has been checked."""
    if function.name != "default" and any(one is None for one in arguments):
        return None
    taken = []
    for wanted, given in zip(function.parameters, arguments, strict=True):
        taken.append(_fit(function, wanted, given))
    try:
        return function.call(now, *taken)
    except OverflowError as error:
        raise BadArgument("The result is out of range.") from error


def _fit(function: Function, wanted: str, given: Any) -> Any:
    kind = kind_of(given)
    if wanted == "any" or kind in wanted.split("|"):
        return given
    if wanted == "date" and kind == "string":
        return _date(given)
    raise BadArgument(f"{function.signature} takes no {kind} there.")


def _date(text: str) -> dt.datetime:
    found = read_date(text)
    if found is None:
        raise BadArgument(f"{text[:40]!r} is no date; write 2026-12-24 or 2026-12-24T18:00:00+01:00.")
    return found


def _duration(text: str) -> dt.timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise BadArgument(str(error)) from error


def _contains(_now: dt.datetime, whole: Any, part: Any) -> bool:
    if isinstance(whole, str):
        if not isinstance(part, str):
            raise BadArgument(f"Text contains no {kind_of(part)}.")
        return part in whole
    return any(same(part, one) for one in whole)


def _made(name: str, parameters: str, returns: str, description: str, call: Callable[..., Any]) -> Function:
    return Function(name, tuple(parameters.split()), returns, description, call)


_ALL = (
    _made("date", "date", "date", "A moment from text: a day, or a day and a time.", lambda now, x: x),
    _made("duration", "string", "duration", "A length of time in ISO 8601.", lambda now, x: _duration(x)),
    _made("days", "number", "duration", "So many days of 24 hours.", lambda now, x: dt.timedelta(days=x)),
    _made("hours", "number", "duration", "So many hours.", lambda now, x: dt.timedelta(hours=x)),
    _made("minutes", "number", "duration", "So many minutes.", lambda now, x: dt.timedelta(minutes=x)),
    _made(
        "days_since",
        "date",
        "number",
        "Days from then until now, with fractions; negative for what is to come.",
        lambda now, x: (now - x).total_seconds() / DAY,
    ),
    _made(
        "days_until",
        "date",
        "number",
        "Days from now until then, with fractions; negative for what is past.",
        lambda now, x: (x - now).total_seconds() / DAY,
    ),
    _made(
        "length",
        "string|list|object",
        "number",
        "Characters of a text, items of a list.",
        lambda now, x: len(x),
    ),
    _made("lower", "string", "string", "The text in small letters.", lambda now, x: x.lower()),
    _made("upper", "string", "string", "The text in capital letters.", lambda now, x: x.upper()),
    _made("contains", "string|list any", "boolean", "Whether a text or a list contains it.", _contains),
    _made(
        "starts_with",
        "string string",
        "boolean",
        "Whether the text begins so.",
        lambda now, x, y: x.startswith(y),
    ),
    _made(
        "ends_with", "string string", "boolean", "Whether the text ends so.", lambda now, x, y: x.endswith(y)
    ),
    _made(
        "default",
        "any any",
        "any",
        "The first, or the second where it is null.",
        lambda now, x, y: y if x is None else x,
    ),
    _made(
        "round",
        "number",
        "number",
        "The nearest whole number; halves go to the even one.",
        lambda now, x: round(x),
    ),
    _made("abs", "number", "number", "The number without its sign.", lambda now, x: abs(x)),
    _made("min", "number number", "number", "The smaller of two.", lambda now, x, y: min(x, y)),
    _made("max", "number number", "number", "The larger of two.", lambda now, x, y: max(x, y)),
)
FUNCTIONS = {one.name: one for one in _ALL}
