"""Send people different ways, to see which is better."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from workflows.engine.ports import Assign
from workflows.errors import Problem
from workflows.steps.base import Step, StepContext, StepResult, register
from workflows.steps.common import KEY, LABEL, STEPS

HOLDOUT = "holdout"
_VARIANT = {
    "type": "object",
    "required": ["name", "steps"],
    "properties": {
        "name": LABEL,
        "weight": {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000},
        "steps": STEPS,
    },
    "additionalProperties": False,
}


@register
class ExperimentStep(Step):
    """``variants`` by ``weight`` (1 unless said); ``holdout`` is the share, from 0 to below 1, that gets none of them.

    The same person comes into the same variant each time: by a hash of ``key`` and the person's id, and by the
    recorded assignment, which holds when weights change later. All go on behind the step.
    """

    type = "experiment"
    label = "Experiment"
    schema = {
        "properties": {
            "key": KEY,
            "variants": {"type": "array", "minItems": 1, "maxItems": 20, "items": _VARIANT},
            "holdout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        },
        "required": ["key", "variants"],
    }
    lists = ("variants.*.steps",)

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        seen = {HOLDOUT}
        for index, variant in enumerate(step["variants"]):
            if variant["name"] in seen:
                taken = "That name stands for those without a variant." if variant["name"] == HOLDOUT else ""
                yield Problem(f"variants.{index}.name", taken or "Another variant has this name.")
            seen.add(variant["name"])

    def passes(self, step: Mapping[str, Any]) -> bool:
        return step.get("holdout", 0) > 0 or not all(variant["steps"] for variant in step["variants"])

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        wanted = Assign(
            origin=context.origin, experiment=step["key"], variant=choose_variant(step, context.person.id)
        )
        variant = context.effects.assign(wanted)
        output = {"experiment": step["key"], "variant": variant}
        for index, one in enumerate(step["variants"]):
            if one["name"] == variant:
                return StepResult.enter(f"variants.{index}.steps", output)
        return StepResult.go_on(output)


def choose_variant(step: Mapping[str, Any], user_id: uuid.UUID) -> str:
    """The variant's name, or ``holdout``; the same for the same key, person and weights.

    Who is held out is drawn apart, so that another share of them changes nobody's variant.
    """
    if _share(f"{step['key']}:{HOLDOUT}:{user_id}") < step.get("holdout", 0):
        return HOLDOUT
    variants = step["variants"]
    left = _share(f"{step['key']}:{user_id}") * sum(one.get("weight", 1) for one in variants)
    for one in variants:
        left -= one.get("weight", 1)
        if left < 0:
            break
    return str(one["name"])


def _share(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56
