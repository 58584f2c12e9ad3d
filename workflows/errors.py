"""What the workflows app raises besides the common errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from castcomm.common.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Problem:
    """``path`` is dotted and points into the definition (``steps.3.check``); ``message`` is a sentence."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DefinitionInvalid(InvalidInput):
    """A definition that cannot run. ``problems`` lists everything that is wrong with it, at least one thing."""

    code = "invalid_definition"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems[0].message, attr=problems[0].path or None)
        self.problems = tuple(problems)
