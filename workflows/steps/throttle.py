"""Let only so many pass in a time."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from workflows.durations import DURATION, duration_problem, parse_duration
from workflows.engine.wants import PassThrottle
from workflows.errors import Problem
from workflows.interpolation import expressions_in, fill
from workflows.steps.base import Expression, Step, StepContext, StepResult, register
from workflows.steps.common import STEPS

_LONGEST = 300  # characters of a name that is kept as it is


@register
class ThrottleStep(Step):
    """``limit`` runs pass in any time of the length ``per``, through ``steps`` if there are some.

    Who comes too much stops here, or with ``onExceeded`` ``skip`` goes on behind ``steps``.

    They are counted per person and ``key``, a text in which ``{{ expression }}`` is filled in; with ``scope``
    ``organization``, for everybody together. Workflows that name the same key share the count.
    """

    type = "throttle"
    label = "Throttle"
    schema = {
        "properties": {
            "key": {"type": "string", "minLength": 1, "maxLength": 300},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
            "per": DURATION,
            "onExceeded": {"enum": ["stop", "skip"]},
            "steps": STEPS,
            "scope": {"enum": ["person", "organization"]},
        },
        "required": ["key", "limit", "per"],
    }
    lists = ("steps",)

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        yield from duration_problem(step["per"], "per", least=dt.timedelta(seconds=1))

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        yield from expressions_in(step["key"], "key")

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        key = _short(fill(step["key"], context))
        whom = "all" if step.get("scope") == "organization" else str(context.person.id)
        per = parse_duration(step["per"])
        wanted = PassThrottle(
            organization_id=context.person.organization.id,
            name=f"{whom}:{key}",
            limit=step["limit"],
            per=per / context.time_scale,
            now=context.clock.now(),
        )
        output = {"key": key, "limit": step["limit"], "passed": context.effects.pass_throttle(wanted)}
        if output["passed"]:
            return StepResult.enter("steps", output) if "steps" in step else StepResult.go_on(output)
        reason = f"{step['limit']} have passed {key!r} in the last {per}."
        if step.get("onExceeded", "stop") == "stop":
            return StepResult.stop(reason, output)
        return StepResult.skip(reason, output)


def _short(key: str) -> str:
    # A long key stays a key of its own.
    return key if len(key) <= _LONGEST else key[:200] + hashlib.sha256(key.encode()).hexdigest()
