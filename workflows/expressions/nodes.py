"""The parts of a parsed expression. ``column`` says where the part stands in the text, counted from 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | float | bool | None
    column: int


@dataclass(frozen=True, slots=True)
class Name:
    """A dotted path such as ``user.city`` or ``steps.3.result.value``."""

    path: tuple[str, ...]
    column: int

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Node, ...]
    column: int


@dataclass(frozen=True, slots=True)
class Unary:
    sign: str
    operand: Node
    column: int


@dataclass(frozen=True, slots=True)
class Binary:
    """``sign`` is an arithmetic sign, a comparison, ``in``, ``not in``, ``and`` or ``or``."""

    sign: str
    left: Node
    right: Node
    column: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one of ``functions.FUNCTIONS``, with as many arguments as it takes."""

    function: str
    arguments: tuple[Node, ...]
    column: int


Node: TypeAlias = Literal | Name | ListOf | Unary | Binary | Call
