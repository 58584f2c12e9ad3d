"""From text to tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from workflows.expressions.errors import ExpressionError

MAX_LENGTH = 1000
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<number>(?:\d+\.\d+|\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<sign><=|>=|==|!=|[-<>+*/%()\[\],.])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_HINTS = {
    "=": "Write == to compare.",
    "&": "Write and.",
    "|": "Write or.",
    "!": "Write not, or != to compare.",
}
WORDS = frozenset({"and", "or", "not", "in", "true", "false", "null", "True", "False", "None"})


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is number, name, word, text, sign or end; ``column`` counts from 1."""

    kind: str
    text: str
    column: int


def tokenize(source: str) -> list[Token]:
    """The tokens of ``source``, an end token last; raises ExpressionError."""
    if len(source) > MAX_LENGTH:
        raise ExpressionError(f"An expression has at most {MAX_LENGTH} characters.", column=MAX_LENGTH + 1)
    return [*_scan(source), Token("end", "", len(source) + 1)]


def _scan(source: str) -> Iterator[Token]:
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        column = position + 1
        if match is None:
            raise _unreadable(source, position)
        position = match.end()
        kind, text = str(match.lastgroup), match.group()
        if kind == "space":
            continue
        if (
            kind == "number"
            and position < len(source)
            and (source[position].isalnum() or source[position] == "_")
        ):
            raise ExpressionError("A name cannot begin with a digit.", column=column)
        yield Token("word" if kind == "name" and text in WORDS else kind, text, column)


def _unreadable(source: str, position: int) -> ExpressionError:
    character = source[position]
    if character in "\"'":
        return ExpressionError("This text has no closing quote.", column=position + 1)
    hint = _HINTS.get(character, "")
    return ExpressionError(f"{character!r} is not understood here. {hint}".rstrip(), column=position + 1)
