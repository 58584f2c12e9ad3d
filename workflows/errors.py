"""What the workflows app raises besides the common errors."""

from __future__ import annotations

from collections.abc import Sequence

from castcomm.common.errors import InvalidInput
from castcomm.common.problems import Problem

__all__ = ["DefinitionInvalid", "Problem"]


class DefinitionInvalid(InvalidInput):
    """A definition that cannot run. ``problems`` lists everything that is wrong with it, at least one thing."""

    code = "invalid_definition"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems[0].message, attr=problems[0].path or None)
        self.problems = tuple(problems)
