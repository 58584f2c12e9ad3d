"""Go on only if something is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from castcomm.common.errors import Unprocessable
from workflows.errors import Problem
from workflows.expressions import ExpressionError, evaluate, parse
from workflows.steps.base import Step, StepContext, StepResult, register


@register
class ConditionStep(Step):
    """``check`` is an expression over the data as it is when the step runs; when false, the run ends here."""

    type = "condition"
    label = "Condition"
    schema = {
        "properties": {"check": {"type": "string", "minLength": 1, "maxLength": 1000}},
        "required": ["check"],
    }

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        try:
            parse(step["check"])
        except ExpressionError as error:
            yield Problem("check", str(error))

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        check = step["check"]
        try:
            evaluation = evaluate(check, context.values)
        except ExpressionError as error:
            raise Unprocessable(f"The condition {check!r} cannot be evaluated: {error}") from error
        if not isinstance(evaluation.value, bool | None):
            raise Unprocessable(f"The condition {check!r} must be true or false.")
        value = bool(evaluation.value)
        output: dict[str, Any] = {"check": check, "value": value, "read": dict(evaluation.read)}
        if evaluation.missing:
            output["missing"] = list(evaluation.missing)
        if value:
            return StepResult.go_on(output)
        return StepResult.stop(f"The condition {check!r} is false{_because(evaluation.missing)}.", output)


def _because(missing: tuple[str, ...]) -> str:
    if not missing:
        return ""
    return f" ({', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not known)"
