"""Take one of several ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.steps.base import Expression, Step, StepContext, StepResult, register
from workflows.steps.checks import ask
from workflows.steps.common import EXPRESSION, LABEL, STEPS

_BRANCH = {
    "type": "object",
    "required": ["when", "steps"],
    "properties": {"name": LABEL, "when": EXPRESSION, "steps": STEPS},
    "additionalProperties": False,
}


@register
class BranchStep(Step):
    """The first of ``branches`` whose ``when`` is true is taken, else ``otherwise``; then the run goes on."""

    type = "branch"
    label = "Branch"
    schema = {
        "properties": {
            "branches": {"type": "array", "minItems": 1, "maxItems": 20, "items": _BRANCH},
            "otherwise": STEPS,
        },
        "required": ["branches"],
    }
    lists = ("branches.*.steps", "otherwise")

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        for index, branch in enumerate(step["branches"]):
            yield Expression(f"branches.{index}.when", branch["when"], "boolean")

    def passes(self, step: Mapping[str, Any]) -> bool:
        lists = [branch["steps"] for branch in step["branches"]]
        return not all([*lists, step.get("otherwise")])

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        asked = []
        for index, branch in enumerate(step["branches"]):
            answer = ask(branch["when"], context.values, now=context.clock.now())
            asked.append(answer.record)
            if answer.value:
                taken = branch.get("name", str(index))
                return StepResult.enter(f"branches.{index}.steps", {"branch": taken, "asked": asked})
        output = {"branch": "otherwise" if "otherwise" in step else None, "asked": asked}
        return StepResult.enter("otherwise", output) if "otherwise" in step else StepResult.go_on(output)
