"""End the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.steps.base import Step, StepContext, StepResult, register


@register
class StopStep(Step):
    """``reason`` is recorded with the execution."""

    type = "stop"
    label = "Stop"
    schema = {"properties": {"reason": {"type": "string", "minLength": 1, "maxLength": 500}}}

    def passes(self, step: Mapping[str, Any]) -> bool:
        return False

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        return StepResult.stop(step.get("reason", "The workflow stops here."))
