"""What is wrong with an expression before it ever runs: types that do not fit, names that nobody gives.

A value whose type nobody declared is ``any`` and fits everywhere. Null fits everywhere, too.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from workflows.expressions.dates import TIMES, read_date
from workflows.expressions.functions import FUNCTIONS
from workflows.expressions.kinds import kind_of
from workflows.expressions.nodes import Binary, Call, ListOf, Literal, Name, Node, Unary

TYPES = ("string", "number", "boolean", "date", "duration", "list", "object", "any")
_UNKNOWN = frozenset({"any", "null"})
_LOGIC = frozenset({"and", "or"})
_ORDER = frozenset({"<", "<=", ">", ">="})
_EQUAL = frozenset({"==", "!="})
_ORDERED = frozenset({"number", "string", "date", "duration"})
_CLOSE = 0.75


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression can rely on.

    ``variables`` are the declared types of the run's data; None when nothing was declared, and everything may be
    there. ``person`` are the fields every person has (other attributes are ``any``). ``steps`` are the ids and paths
    of the steps that can have run before; None when that is not to be checked. ``event`` says that this is a match:
    ``event.`` and a bare name are what came, and there is nothing else but ``data.``.
    """

    variables: Mapping[str, str] | None = None
    person: Mapping[str, str] = field(default_factory=dict)
    steps: frozenset[str] | None = None
    event: bool = False


@dataclass(frozen=True, slots=True)
class TypeProblem:
    """``message`` is a sentence; ``column`` counts characters from 1."""

    message: str
    column: int

    def __str__(self) -> str:
        return f"{self.message} (column {self.column})"


def check_types(tree: Node, environment: Environment, *, wanted: str = "any") -> list[TypeProblem]:
    """Everything that can be known to be wrong; ``wanted`` is the type that the whole must have."""
    checker = _Checker(environment)
    found = checker.type_of(tree)
    if not _fits(found, wanted):
        checker.problems.append(TypeProblem(f"This must be {wanted}, not {found}.", tree.column))
    return sorted(checker.problems, key=lambda one: one.column)


class _Checker:
    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.problems: list[TypeProblem] = []

    def type_of(self, node: Node) -> str:
        match node:
            case Literal(value=value):
                return kind_of(value)
            case Name():
                return self._name(node)
            case ListOf(items=items):
                for item in items:
                    self.type_of(item)
                return "list"
            case Call():
                return self._call(node)
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)

    def _say(self, message: str, column: int) -> str:
        self.problems.append(TypeProblem(message, column))
        return "any"

    def _unary(self, node: Unary) -> str:
        found = self.type_of(node.operand)
        if node.sign == "not":
            self._want(found, "boolean", node.operand)
            return "boolean"
        if found == "duration":
            return found
        self._want(found, "number", node.operand)
        return "number"

    def _binary(self, node: Binary) -> str:
        left, right = self.type_of(node.left), self.type_of(node.right)
        if node.sign in _LOGIC:
            self._want(left, "boolean", node.left)
            self._want(right, "boolean", node.right)
            return "boolean"
        if node.sign in {"in", "not in"}:
            if not _fits(right, "string|list"):
                self._say(f"{right.capitalize()} cannot contain anything.", node.column)
            return "boolean"
        if node.sign in _EQUAL or node.sign in _ORDER:
            self._compare(node, left, right)
            return "boolean"
        return self._calculate(node, left, right)

    def _compare(self, node: Binary, left: str, right: str) -> None:
        if left in _UNKNOWN or right in _UNKNOWN:
            return
        if {left, right} == {"date", "string"}:
            self._moment(node.left)
            self._moment(node.right)
        elif left != right:
            self._say(f"{left.capitalize()} is compared with {right}.", node.column)
        elif node.sign in _ORDER and left not in _ORDERED:
            self._say(f"There is no larger and smaller {left}.", node.column)

    def _calculate(self, node: Binary, left: str, right: str) -> str:
        if left in _UNKNOWN or right in _UNKNOWN:
            return "any"
        if "date" in (left, right):
            # Text beside a moment is read as one.
            left, right = (("date" if one == "string" else one) for one in (left, right))
            self._moment(node.left)
            self._moment(node.right)
        if left == right == "number":
            return "number"
        found = TIMES.get((left, node.sign, right))
        return (
            found.returns
            if found
            else self._say(f"{left.capitalize()} {node.sign} {right} means nothing.", node.column)
        )

    def _call(self, node: Call) -> str:
        function = FUNCTIONS[node.function]
        found = [self.type_of(one) for one in node.arguments]
        for wanted, given, argument in zip(function.parameters, found, node.arguments, strict=True):
            self._want(given, "date|string" if wanted == "date" else wanted, argument)
            if wanted == "date":
                self._moment(argument)
        if function.name == "default":
            return found[0] if found[0] == found[1] else "any"
        return function.returns

    def _want(self, found: str, wanted: str, node: Node) -> None:
        if not _fits(found, wanted):
            self._say(
                f"{' or '.join(wanted.split('|')).capitalize()} is needed here, not {found}.", node.column
            )

    def _moment(self, node: Node) -> None:
        """Written text stands where a moment is meant, and has to name one."""
        if isinstance(node, Literal) and isinstance(node.value, str) and read_date(node.value) is None:
            self._say(f"{node.value[:40]!r} is no date; write 2026-12-24.", node.column)

    def _name(self, node: Name) -> str:
        root, rest = node.path[0], node.path[1:]
        if node.path == ("now",):
            return "date"
        if rest and root == "data":
            return self._of_data(node, rest)
        if self._environment.event:
            return self._in_match(node)
        if rest and root == "user":
            return self._environment.person.get(rest[0], "any") if len(rest) == 1 else "any"
        if rest and root == "steps":
            return self._of_step(node)
        if rest and root == "event":
            return self._say("There is no event here.", node.column)
        return self._bare(node)

    def _in_match(self, node: Name) -> str:
        """Only ``event.`` and ``data.`` mean something; a bare name is the event's, of which nothing is declared."""
        if len(node.path) > 1 and node.path[0] in {"user", "steps"}:
            return self._say(f"{node} is not known here; a match has event. and data. alone.", node.column)
        return "any"

    def _of_data(self, node: Name, rest: tuple[str, ...]) -> str:
        declared = self._environment.variables
        if declared is None:
            return "any"
        if rest[0] not in declared:
            return self._say(
                f"data.{rest[0]} is not among the variables.{_hint(rest[0], declared)}", node.column
            )
        return declared[rest[0]] if len(rest) == 1 else "any"

    def _of_step(self, node: Name) -> str:
        known = self._environment.steps
        if known is None:
            return "any"
        starts = {".".join(node.path[1:end]) for end in range(2, len(node.path) + 1)}
        if starts & known:
            return "any"
        return self._say(f"No step before this one is {node.path[1]!r}.", node.column)

    def _bare(self, node: Name) -> str:
        name, whole = node.path[0], len(node.path) == 1
        declared = self._environment.variables or {}
        for types in (declared, self._environment.person):
            if name in types:
                return types[name] if whole else "any"
        # People have attributes of their own, so that only what looks like a slip is told.
        hint = _hint(name, {**declared, **self._environment.person})
        return self._say(f"Nothing is called {name}.{hint}", node.column) if hint else "any"


def _fits(found: str, wanted: str) -> bool:
    return found in _UNKNOWN or wanted == "any" or found in wanted.split("|")


def _hint(name: str, known: Mapping[str, str]) -> str:
    close = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_CLOSE)), None)
    return f" Did you mean {close}?" if close else ""
