"""Go on only if something is true, or do something else first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.steps.base import Expression, Step, StepContext, StepResult, register
from workflows.steps.checks import ask
from workflows.steps.common import EXPRESSION, STEPS


@register
class ConditionStep(Step):
    """``check`` is an expression over the data as it is when the step runs.

    When it is false, the run ends here; with ``otherwise`` it runs those steps and then goes on.
    """

    type = "condition"
    label = "Condition"
    schema = {"properties": {"check": EXPRESSION, "otherwise": STEPS}, "required": ["check"]}
    lists = ("otherwise",)

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        yield Expression("check", step["check"], "boolean")

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        check = step["check"]
        answer = ask(check, context.values, now=context.clock.now())
        if answer.value:
            return StepResult.go_on(answer.record)
        if "otherwise" in step:
            return StepResult.enter("otherwise", answer.record)
        return StepResult.stop(f"The condition {check!r} is false{answer.because}.", answer.record)
