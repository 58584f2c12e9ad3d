"""``{{ expression }}`` in the texts of steps: no template language, nothing but expressions."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from castcomm.common.errors import Unprocessable
from workflows.expressions import ExpressionError, evaluate
from workflows.expressions.dates import write_duration
from workflows.steps.base import Expression, StepContext

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def has_places(text: str) -> bool:
    """Whether something is filled in."""
    return _PLACE.search(text) is not None


def expressions_in(value: Any, path: str) -> Iterator[Expression]:
    """The expressions in a text, or in the texts inside of an object or a list."""
    if isinstance(value, str):
        for found in _PLACE.finditer(value):
            yield Expression(path, found[1].strip(), "any")
    elif isinstance(value, dict | list):
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from expressions_in(one, f"{path}.{name}")


def value_of(source: str, context: StepContext) -> Any:
    """The value of an expression as plain JSON: moments and lengths of time as text. Raises Unprocessable."""
    try:
        return _plain(evaluate(source, context.values, now=context.clock.now()).value)
    except ExpressionError as error:
        raise Unprocessable(f"{source!r} cannot be evaluated: {error}") from error


def fill(text: str, context: StepContext, *, escape: Callable[[str], str] = str) -> str:
    """The text with the values of its expressions, each escaped; null is nothing. Raises Unprocessable."""
    return _PLACE.sub(lambda found: escape(_text(value_of(found[1].strip(), context))), text)


def fill_all(value: Any, context: StepContext) -> Any:
    """As ``fill`` for the texts inside of plain values; a text that is one expression alone keeps its value's type."""
    if isinstance(value, str):
        alone = _PLACE.fullmatch(value.strip())
        return value_of(alone[1].strip(), context) if alone else fill(value, context)
    if isinstance(value, dict):
        return {name: fill_all(one, context) for name, one in value.items()}
    if isinstance(value, list):
        return [fill_all(one, context) for one in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return write_duration(value) if isinstance(value, dt.timedelta) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
