"""Wait for a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from workflows.steps.base import Step, StepContext, StepResult, register

TEN_YEARS = 10 * 366 * 24 * 3600 * 1000  # milliseconds


@register
class DelayStep(Step):
    """``duration`` is in milliseconds; 0 goes on at once."""

    type = "delay"
    label = "Delay"
    schema = {
        "properties": {"duration": {"type": "integer", "minimum": 0, "maximum": TEN_YEARS}},
        "required": ["duration"],
    }

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        if context.earlier is not None:
            return StepResult.go_on(context.earlier)
        duration = dt.timedelta(milliseconds=int(step["duration"])) / context.time_scale
        if not duration:
            return StepResult.go_on({"duration_ms": 0})
        until = context.clock.now() + duration
        output = {"duration_ms": int(step["duration"]), "until": until.isoformat()}
        if context.time_scale != 1:
            output["time_scale"] = context.time_scale
        return StepResult.wait(until, output)
