"""What is wrong with an expression, and where."""

from __future__ import annotations


class ExpressionError(Exception):
    """``message`` is a sentence; ``column`` counts characters from 1."""

    def __init__(self, message: str, *, column: int) -> None:
        super().__init__(f"{message} (column {column})")
        self.message = message
        self.column = column
