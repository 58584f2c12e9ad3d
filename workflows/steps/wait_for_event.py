"""Wait until the person does something, or does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.durations import DURATION, duration_problem, parse_duration
from workflows.engine.ports import AwaitEvent
from workflows.errors import Problem
from workflows.steps.base import Expression, Step, StepContext, StepResult, register
from workflows.steps.common import EXPRESSION, KEY, STEPS


@register
class WaitForEventStep(Step):
    """The run sleeps until ``event`` is reported for its person and ``match`` is true of it, or until ``timeout``.

    Then come ``then`` or ``onTimeout``, and what is behind the step. ``since`` "start" also takes an event that came
    between the beginning of the run and this step; otherwise only what comes while it waits counts.
    """

    type = "wait_for_event"
    label = "Wait for an event"
    schema = {
        "properties": {
            "event": KEY,
            "match": EXPRESSION,
            "timeout": DURATION,
            "since": {"enum": ["step", "start"]},
            "then": STEPS,
            "onTimeout": STEPS,
        },
        "required": ["event", "timeout"],
    }
    lists = ("then", "onTimeout")

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        yield from duration_problem(step["timeout"], "timeout")

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        if "match" in step:
            yield Expression("match", step["match"], "boolean", about_event=True)

    def passes(self, step: Mapping[str, Any]) -> bool:
        return not (step.get("then") and step.get("onTimeout"))

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        now = context.clock.now()
        if context.earlier is not None:
            return self._after(step, context.effects.awaited_event(context.origin, now=now))
        wanted = AwaitEvent(
            origin=context.origin,
            event=step["event"],
            match=step.get("match", ""),
            data=context.data,
            now=now,
            since=context.origin.started_at if step.get("since") == "start" else None,
        )
        data = context.effects.await_event(wanted)
        if data is not None:
            return self._after(step, data)
        until = now + parse_duration(step["timeout"]) / context.time_scale
        return StepResult.wait(until, {"event": step["event"], "until": until.isoformat()})

    def _after(self, step: Mapping[str, Any], data: Mapping[str, Any] | None) -> StepResult:
        output: dict[str, Any] = {"event": step["event"], "arrived": data is not None}
        if data is not None:
            output["data"] = data
        way = "onTimeout" if data is None else "then"
        return StepResult.enter(way, output) if way in step else StepResult.go_on(output)
