"""What keeps a template that staff wrote from taking a worker's time and memory.

Jinja2's sandbox guards against reaching objects; it does not guard against ``x ~ x`` forty times over or a
billion turns of empty loops. Here every loop is counted, every operation that makes text grow is measured, and
only filters and methods whose cost follows the size of their input are there.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import operator
import time
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from contextvars import ContextVar
from typing import Any

from jinja2 import Environment, filters, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, markup_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import htmlsafe_json_dumps, pass_context, pass_environment
from jinja2.visitor import NodeTransformer

MAX_OUTPUT = 1_000_000  # characters, of any text made on the way too
MAX_ITEMS = 10_000
# Of lists and objects with all that is in them, counted as often as it would be written out.
MAX_NODES = 50_000
MAX_RANGE = 1_000
MAX_NUMBER = 10**12
MAX_LOOP_DEPTH = 3
MAX_TURNS = 100_000  # of all loops of one rendering together
MAX_SECONDS = 1.0  # of the thread's own time: a machine that is busy with others fails no template

_FILTERS = """
    abs capitalize count d default dictsort e escape filesizeformat first float forceescape groupby int items
    last length list lower max min reject rejectattr reverse safe select selectattr sort string striptags sum
    title trim truncate unique upper urlencode wordcount
"""
_TEXT_METHODS = """
    capitalize casefold count endswith find index isalpha isdigit islower isnumeric isspace istitle isupper
    lower lstrip partition removeprefix removesuffix rpartition rsplit rstrip split splitlines startswith strip
    swapcase title upper
"""
_DATE_METHODS = "year month day hour minute second date time weekday isoweekday isoformat"
_METHODS: tuple[tuple[type | tuple[type, ...], frozenset[str]], ...] = (
    (str, frozenset(_TEXT_METHODS.split())),
    (dict, frozenset({"get", "items", "keys", "values"})),
    ((list, tuple), frozenset({"count", "index"})),
    ((dt.date, dt.time), frozenset(_DATE_METHODS.split())),
    ((int, float, bytes, range), frozenset()),
)


class _Budget:
    """What one rendering has left."""

    __slots__ = ("ends", "turns")

    def __init__(self) -> None:
        self.turns = MAX_TURNS
        self.ends = time.thread_time() + MAX_SECONDS

    def spend(self) -> None:
        self.turns -= 1
        if self.turns < 0:
            raise SecurityError(f"loops may take {MAX_TURNS} turns at most")
        if time.thread_time() > self.ends:
            raise SecurityError(f"rendering takes longer than {MAX_SECONDS:.0f} second")


_budget: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextlib.contextmanager
def budget() -> Iterator[None]:
    """Count what is rendered inside against one budget."""
    token = _budget.set(_Budget())
    try:
        yield
    finally:
        _budget.reset(token)


def _spend() -> None:
    left = _budget.get()
    if left is not None:
        left.spend()


@pass_context
def _counted(_context: Context, items: Iterable[Any]) -> Iterator[Any]:
    """``items``, each of which costs a turn. (Taking the context keeps Jinja2 from folding it when compiling.)"""
    for item in items:
        _spend()
        yield item


def _weigh(value: Any) -> int:
    """About how many characters ``value`` has as text, with everything in it; refuses what is too much.

    A list that holds another one twice counts it twice: ``[a, a]`` costs nothing to make, but its text, its JSON and
    its comparison with another one take twice the time, and forty of them inside each other have no end.
    """
    if isinstance(value, str):
        return len(value)
    pending = [value]
    nodes = characters = 0
    while pending:
        one = pending.pop()
        nodes += 1
        if isinstance(one, str):
            characters += len(one)
        elif isinstance(one, dict | list | tuple | ItemsView | ValuesView):
            if nodes + len(pending) + len(one) * (1 + isinstance(one, dict)) > MAX_NODES:
                raise SecurityError(f"lists and objects may hold {MAX_NODES} values at most")
            pending.extend(one)
            if isinstance(one, dict):
                pending.extend(one.values())
        else:
            characters += 50
        if characters > MAX_OUTPUT:
            raise SecurityError(f"text may have at most {MAX_OUTPUT} characters")
    return characters


@pass_context
def _built(_context: Context, made: Any) -> Any:
    """A list, tuple or object that the template has put together of other values."""
    _spend()
    _weigh(made)
    return made


def _weighed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses to work on too much: each turn of ``tojson`` doubles the backslashes in a text."""

    def filtered(value: Any, *arguments: Any, **named: Any) -> Any:
        _spend()
        _weigh(value)
        return function(value, *arguments, **named)

    return filtered


@pass_environment
def _groupby(environment: Environment, value: Any, *arguments: Any, **named: Any) -> Any:
    _spend()
    made = filters.sync_do_groupby(environment, value, *arguments, **named)
    _weigh(made)  # what is grouped by stands there once more
    return made


@pass_context
def _concatenated(_context: Context, parts: list[Any]) -> str:
    _spend()
    if sum(len(part) if isinstance(part, str) else _weigh(part) for part in parts) > MAX_OUTPUT:
        raise SecurityError(f"text may have at most {MAX_OUTPUT} characters")
    return markup_join(parts)


@pass_context
def _join(context: Context, items: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    _spend()
    found = list(items)
    size = sum(len(one) if isinstance(one, str) else _weigh(one) for one in found)
    size += len(str(separator)) * len(found)
    if size > MAX_OUTPUT:
        raise SecurityError(f"join makes more than {MAX_OUTPUT} characters")
    return str(filters.sync_do_join(context.eval_ctx, found, separator, attribute))


@pass_context
def _replace(context: Context, text: Any, old: str, new: str, count: int | None = None) -> str:
    _spend()
    whole = str(text)
    times = whole.count(str(old)) if old else len(whole) + 1
    if len(whole) + times * len(str(new)) > MAX_OUTPUT:
        raise SecurityError(f"replace makes more than {MAX_OUTPUT} characters")
    return filters.do_replace(context.eval_ctx, text, old, new, count)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if not -15 <= precision <= 15:
        raise SecurityError("round takes at most 15 digits")
    return filters.do_round(value, precision, method)


def _tojson(value: Any) -> Any:
    return htmlsafe_json_dumps(value)


def bounded_range(*arguments: int) -> range:
    """``range`` of at most MAX_RANGE numbers."""
    made = range(*arguments)
    if len(made) > MAX_RANGE:
        raise SecurityError(f"range() gives at most {MAX_RANGE} numbers")
    return made


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox, with operators, filters and methods that cannot be made to grow without end."""

    intercepted_binops = frozenset(["*", "**", "%", "+"])

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals = {"range": bounded_range}
        self.filters = {name: filters.FILTERS[name] for name in _FILTERS.split()}
        self.filters |= {"join": _join, "replace": _replace, "round": _round, "groupby": _groupby}
        self.filters |= {"tojson": _weighed(_tojson)}
        self.filters |= {
            name: _weighed(filters.FILTERS[name]) for name in ("forceescape", "string", "urlencode")
        }
        self.filters |= {"cc_counted": _counted, "cc_concatenated": _concatenated, "cc_built": _built}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _spend()
        if operator == "+" and not isinstance(left, int | float):
            return _sum(left, right)
        if operator == "%" and isinstance(left, str):
            raise SecurityError("the % operator does not format text here; use ~ or a filter")
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"{operator} works on numbers only")
        if abs(left) > MAX_NUMBER or abs(right) > MAX_NUMBER or (operator == "**" and abs(right) > 8):
            raise SecurityError(f"the numbers in {operator} are too large")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        for kinds, allowed in _METHODS:
            if isinstance(obj, kinds):
                return attr in allowed
        return super().is_safe_attribute(obj, attr, value)

    def getattr(self, obj: Any, attribute: str) -> Any:
        # ``order.items`` means the data's "items" where it has some, not the method of Python's dict.
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def wrap_str_format(self, value: Any) -> None:
        """No ``str.format``: its widths make text of any size."""


def _sum(left: Any, right: Any) -> Any:
    kind, most = (list, MAX_ITEMS) if isinstance(left, list) else (str, MAX_OUTPUT)
    if not (isinstance(left, kind) and isinstance(right, kind)):
        raise SecurityError("+ works on two numbers, two texts or two lists")
    if len(left) + len(right) > most:
        raise SecurityError("the result of + is too large")
    made: Any = operator.add(left, right)
    if kind is list:
        _weigh(made)
    return made


class Bounding(NodeTransformer):
    """Rewrites a parsed template so that loops are counted, and ``~`` and what is put together are measured."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = self._filtered(node.iter, "cc_counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return self._filtered(nodes.List(node.nodes, lineno=node.lineno), "cc_concatenated")

    def _literal(self, node: nodes.Literal) -> nodes.Node:
        self.generic_visit(node)
        # Of constants alone it is no larger than the source; as the target of an assignment it is no value.
        if getattr(node, "ctx", "load") != "load" or not _has_variables(node):
            return node
        return self._filtered(node, "cc_built")

    visit_List = visit_Tuple = visit_Dict = _literal

    def _filtered(self, node: Any, name: str) -> nodes.Filter:
        return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _has_variables(node: nodes.Node) -> bool:
    constant = (nodes.Literal, nodes.Pair)
    return any(not isinstance(child, constant) or _has_variables(child) for child in node.iter_child_nodes())
