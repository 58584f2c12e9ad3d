"""From tokens to a tree, by precedence climbing. The size of the tree is bounded."""

from __future__ import annotations

import math
import re

from workflows.expressions.errors import ExpressionError
from workflows.expressions.functions import FUNCTIONS
from workflows.expressions.nodes import Binary, Call, ListOf, Literal, Name, Node, Unary
from workflows.expressions.tokens import Token, tokenize

MAX_DEPTH = 30
MAX_OPERATORS = 100
MAX_PATH = 10
MAX_NUMBER = 1e15
_PRECEDENCE = {
    "or": 1,
    "and": 2,
    "in": 4,
    "not in": 4,
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), 4),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/", "%"), 6),
}
_NOT = 3
_COMPARISON = 4
_NEGATION = 7
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


def parse(source: str) -> Node:
    """The tree of ``source``; raises ExpressionError that names the column."""
    return _Parser(tokenize(source)).whole()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._operators = 0

    def whole(self) -> Node:
        if self._current.kind == "end":
            raise ExpressionError("The expression is empty.", column=1)
        tree = self._expression(0)
        if self._current.kind != "end":
            raise self._unexpected("An operator such as < or and is missing before")
        return tree

    @property
    def _current(self) -> Token:
        return self._tokens[self._at]

    def _advance(self) -> Token:
        token = self._current
        self._at += 1
        return token

    def _unexpected(self, what: str) -> ExpressionError:
        token = self._current
        if token.kind == "end":
            return ExpressionError("The expression ends too early.", column=token.column)
        return ExpressionError(f"{what} {token.text!r}.", column=token.column)

    def _expression(self, least: int) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"At most {MAX_DEPTH} levels of nesting.", column=self._current.column)
        tree = self._unary()
        while (sign := self._operator()) and _PRECEDENCE[sign] > least:
            self._operators += 1
            if self._operators > MAX_OPERATORS:
                raise ExpressionError(f"At most {MAX_OPERATORS} operators.", column=self._current.column)
            tree = self._binary(sign, tree)
        self._depth -= 1
        return tree

    def _binary(self, sign: str, left: Node) -> Node:
        token = self._advance()
        if sign == "not in":
            self._advance()
        right = self._expression(_PRECEDENCE[sign])
        following = self._operator()
        if _PRECEDENCE[sign] == _COMPARISON and following and _PRECEDENCE[following] == _COMPARISON:
            raise ExpressionError(
                "Comparisons cannot be chained; write a < b and b < c.", column=self._current.column
            )
        return Binary(sign, left, right, token.column)

    def _operator(self) -> str:
        token = self._current
        if token.kind == "word" and token.text == "not":
            following = self._tokens[self._at + 1]
            return "not in" if following.kind == "word" and following.text == "in" else ""
        if token.kind in {"sign", "word"} and token.text in _PRECEDENCE:
            return token.text
        return ""

    def _unary(self) -> Node:
        token = self._current
        if token.kind == "word" and token.text == "not":
            self._advance()
            return Unary("not", self._expression(_NOT), token.column)
        if token.kind == "sign" and token.text in "+-":
            self._advance()
            return Unary(token.text, self._expression(_NEGATION), token.column)
        return self._operand()

    def _operand(self) -> Node:
        token = self._current
        if token.kind == "number":
            return Literal(_number(self._advance()), token.column)
        if token.kind == "text":
            return Literal(_text(self._advance()), token.column)
        if token.kind == "word" and token.text in _CONSTANTS:
            self._advance()
            return Literal(_CONSTANTS[token.text], token.column)
        if token.kind == "name":
            return self._name()
        if token.kind == "sign" and token.text == "(":
            self._advance()
            inner = self._expression(0)
            self._expect(")")
            return inner
        if token.kind == "sign" and token.text == "[":
            return self._list()
        raise self._unexpected("A value is missing before")

    def _list(self) -> Node:
        column = self._advance().column
        return ListOf(self._items("]"), column)

    def _items(self, end: str) -> tuple[Node, ...]:
        """Expressions with commas between them, up to and with the sign ``end``."""
        items: list[Node] = []
        while self._current.text != end or self._current.kind != "sign":
            items.append(self._expression(0))
            if self._current.kind == "sign" and self._current.text == ",":
                self._advance()
            else:
                break
        self._expect(end)
        return tuple(items)

    def _call(self, name: Token) -> Node:
        function = FUNCTIONS.get(name.text)
        if function is None:
            known = ", ".join(FUNCTIONS)
            raise ExpressionError(
                f"Nothing is called {name.text!r}; these can be called: {known}.", column=name.column
            )
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise ExpressionError(f"At most {MAX_OPERATORS} operators.", column=name.column)
        self._advance()
        arguments = self._items(")")
        if len(arguments) != len(function.parameters):
            raise ExpressionError(
                f"{function.signature} takes {len(function.parameters)}, not {len(arguments)}.",
                column=name.column,
            )
        return Call(name.text, arguments, name.column)

    def _name(self) -> Node:
        first = self._advance()
        path = [_part(first)]
        while self._current.kind == "sign" and self._current.text == ".":
            self._advance()
            if self._current.kind not in {"name", "number", "word"}:
                raise self._unexpected("A name is missing before")
            # "steps.3.4" reads as the number 3.4; both parts belong to the path.
            path += _part(self._advance()).split(".")
        if self._current.kind == "sign" and self._current.text == "(":
            if len(path) == 1:
                return self._call(first)
            raise ExpressionError("Only functions can be called, by their name alone.", column=first.column)
        if len(path) > MAX_PATH:
            raise ExpressionError(f"At most {MAX_PATH} parts in a name.", column=first.column)
        return Name(tuple(path), first.column)

    def _expect(self, sign: str) -> None:
        if self._current.kind != "sign" or self._current.text != sign:
            raise self._unexpected(f"{sign!r} is missing before")
        self._advance()


def _part(token: Token) -> str:
    if token.text.startswith("_"):
        raise ExpressionError("Names cannot begin with an underscore.", column=token.column)
    return token.text


def _number(token: Token) -> int | float:
    value = float(token.text)
    if not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise ExpressionError(f"Numbers go up to {MAX_NUMBER:.0e}.", column=token.column)
    return int(token.text) if token.text.isdigit() else value


def _text(token: Token) -> str:
    def unescape(match: re.Match[str]) -> str:
        try:
            return _ESCAPES[match.group(1)]
        except KeyError:
            raise ExpressionError(f"{match.group()!r} is not an escape.", column=token.column) from None

    return re.sub(r"\\(.)", unescape, token.text[1:-1], flags=re.DOTALL)
