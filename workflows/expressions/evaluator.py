"""From a tree and the values at hand to a result, with a record of what was read.

A name that is not there is null. Comparing with a null is false, and the name is recorded as missing;
``x == null`` and ``x != null`` ask whether it is there. Calculating with null gives null.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from castcomm.common.clock import now as current_time
from workflows.expressions import functions
from workflows.expressions.dates import TIMES, write_duration
from workflows.expressions.errors import ExpressionError
from workflows.expressions.kinds import as_moments, kind_of, same
from workflows.expressions.nodes import Binary, Call, ListOf, Literal, Name, Node, Unary
from workflows.expressions.parser import MAX_NUMBER, parse

_RECORDED_TEXT = 200


class Names(Protocol):
    """Where names get their values: plain JSON values only."""

    def look_up(self, path: Sequence[str]) -> Any:
        """The value under the dotted path, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``read`` has the value of each name that was looked at; ``missing`` those that were null."""

    value: Any
    read: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def evaluate(expression: str | Node, names: Names, *, now: dt.datetime | None = None) -> Evaluation:
    """The value of ``expression`` at ``now``, which is the real time unless another is given.

    It is a plain value, or a moment or a length of time. Raises ExpressionError that names the column.
    """
    tree = parse(expression) if isinstance(expression, str) else expression
    evaluator = _Evaluator(names, now or current_time())
    value = evaluator.value(tree)
    return Evaluation(value, evaluator.read, tuple(evaluator.missing))


class _Evaluator:
    def __init__(self, names: Names, now: dt.datetime) -> None:
        self._names = names
        self._now = now
        self.read: dict[str, Any] = {}
        self.missing: list[str] = []

    def value(self, node: Node) -> Any:
        match node:
            case Literal(value=value):
                return value
            case Name():
                return self._name(node)
            case ListOf(items=items):
                return [self.value(item) for item in items]
            case Call():
                return self._call(node)
            case Unary():
                return self._unary(node)
            case Binary(sign="and" | "or"):
                return self._logic(node)
            case Binary():
                return self._binary(node)

    def _call(self, node: Call) -> Any:
        arguments = [self.value(one) for one in node.arguments]
        try:
            value = functions.call(functions.FUNCTIONS[node.function], arguments, now=self._now)
        except functions.BadArgument as error:
            raise ExpressionError(str(error), column=node.column) from error
        if _is_number(value) and not _is_sane(value):
            raise ExpressionError(f"The result is larger than {MAX_NUMBER:.0e}.", column=node.column)
        return value

    def _name(self, node: Name) -> Any:
        value = self._now if node.path == ("now",) else self._names.look_up(node.path)
        if isinstance(value, int | float) and not isinstance(value, bool) and not _is_sane(value):
            raise ExpressionError(f"{node} is too large a number.", column=node.column)
        self.read[str(node)] = _recorded(value)
        if value is None and str(node) not in self.missing:
            self.missing.append(str(node))
        return value

    def _unary(self, node: Unary) -> Any:
        operand = self.value(node.operand)
        if node.sign == "not":
            return not _truth(operand, node.operand)
        if operand is None:
            return None
        if isinstance(operand, dt.timedelta):
            return -operand if node.sign == "-" else operand
        number = _number(operand, node.operand)
        return -number if node.sign == "-" else number

    def _logic(self, node: Binary) -> bool:
        left = _truth(self.value(node.left), node.left)
        if left is (node.sign == "or"):
            return left
        return _truth(self.value(node.right), node.right)

    def _binary(self, node: Binary) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if node.sign in {"==", "!="}:
            return _equality(node, left, right)
        if node.sign in {"in", "not in"}:
            return _membership(node, left, right)
        if node.sign in _ORDER:
            return _order(node, left, right)
        return _arithmetic(node, left, right)


def _equality(node: Binary, left: Any, right: Any) -> bool:
    wants_equal = node.sign == "=="
    if _is_null(node.left) or _is_null(node.right):
        return ((left is None) and (right is None)) is wants_equal
    if left is None or right is None:
        return False
    return same(left, right) is wants_equal


def _membership(node: Binary, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    wants_in = node.sign == "in"
    if isinstance(right, str) and isinstance(left, str):
        return (left in right) is wants_in
    if isinstance(right, list | tuple):
        return any(same(left, item) for item in right) is wants_in
    raise ExpressionError(f"{_kind(right).capitalize()} cannot contain {_kind(left)}.", column=node.column)


def _order(node: Binary, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    left, right = as_moments(left, right)
    comparable = kind_of(left) == kind_of(right) in _ORDERED
    if not comparable:
        raise ExpressionError(
            f"{_kind(left).capitalize()} cannot be compared with {_kind(right)}.", column=node.column
        )
    return _ORDER[node.sign](left, right)


def _arithmetic(node: Binary, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    left, right = as_moments(left, right)
    if _is_time(left) or _is_time(right):
        return _time_arithmetic(node, left, right)
    first, second = _number(left, node.left), _number(right, node.right)
    if node.sign in {"/", "%"} and second == 0:
        raise ExpressionError("Division by zero.", column=node.column)
    result = _ARITHMETIC[node.sign](first, second)
    if not _is_sane(result):
        raise ExpressionError(f"The result is larger than {MAX_NUMBER:.0e}.", column=node.column)
    return result


def _time_arithmetic(node: Binary, left: Any, right: Any) -> Any:
    found = TIMES.get((kind_of(left), node.sign, kind_of(right)))
    if found is None:
        raise ExpressionError(
            f"{_kind(left).capitalize()} {node.sign} {_kind(right)} means nothing.", column=node.column
        )
    try:
        return found.call(left, right)
    except ZeroDivisionError as error:
        raise ExpressionError("Division by zero.", column=node.column) from error
    except OverflowError as error:
        raise ExpressionError("The result is out of range.", column=node.column) from error


_ORDERED = frozenset({"number", "string", "date", "duration"})
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": lambda left, right: left % right,
}


def _is_null(node: Node) -> bool:
    return isinstance(node, Literal) and node.value is None


def _is_time(value: Any) -> bool:
    return isinstance(value, dt.datetime | dt.timedelta)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_sane(value: float) -> bool:
    return (isinstance(value, int) or math.isfinite(value)) and abs(value) <= MAX_NUMBER


def _number(value: Any, node: Node) -> float:
    if not _is_number(value):
        raise ExpressionError(f"A number is needed here, not {_kind(value)}.", column=node.column)
    number: float = value
    return number


def _truth(value: Any, node: Node) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ExpressionError(f"True or false is needed here, not {_kind(value)}.", column=node.column)
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dt.datetime):
        return "a date"
    if isinstance(value, dt.timedelta):
        return "a duration"
    return "a list" if isinstance(value, list | tuple) else "an object"


def _recorded(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _RECORDED_TEXT else value[:_RECORDED_TEXT] + "…"
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return write_duration(value)
    return value if value is None or isinstance(value, bool | int | float) else _kind(value)
