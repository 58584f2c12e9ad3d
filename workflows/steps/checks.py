"""Asking a question of the data: what condition, branch and ``when`` share."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from castcomm.common.errors import Unprocessable
from workflows.expressions import ExpressionError, evaluate
from workflows.steps.base import Values


@dataclass(frozen=True, slots=True)
class Answer:
    """``record`` is what a step run keeps of it: the expression, its value, what was read and what was missing."""

    value: bool
    record: dict[str, Any]
    missing: tuple[str, ...]

    @property
    def because(self) -> str:
        """Why it may be false without anybody having said so, to be put behind a sentence; often empty."""
        if not self.missing:
            return ""
        return f" ({', '.join(self.missing)} {'is' if len(self.missing) == 1 else 'are'} not known)"


def ask(expression: str, values: Values, *, now: dt.datetime) -> Answer:
    """Whether ``expression`` holds at ``now``; raises Unprocessable when it cannot be said."""
    try:
        evaluation = evaluate(expression, values, now=now)
    except ExpressionError as error:
        raise Unprocessable(f"The condition {expression!r} cannot be evaluated: {error}") from error
    if not isinstance(evaluation.value, bool | None):
        raise Unprocessable(f"The condition {expression!r} must be true or false.")
    value = bool(evaluation.value)
    record: dict[str, Any] = {"check": expression, "value": value, "read": dict(evaluation.read)}
    if evaluation.missing:
        record["missing"] = list(evaluation.missing)
    return Answer(value, record, evaluation.missing)
