"""Write down facts about the person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.engine.wants import SetAttributes
from workflows.interpolation import value_of
from workflows.steps.base import Expression, Step, StepContext, StepResult, register
from workflows.steps.common import EXPRESSION

_EXPRESSION = {
    "type": "object",
    "required": ["expression"],
    "properties": {"expression": EXPRESSION},
    "additionalProperties": False,
}
_PLAIN = {"type": ["string", "number", "boolean", "null", "array"], "maxLength": 2_000, "maxItems": 100}


@register
class UpdateAttributesStep(Step):
    """``set`` names attributes: each a value, or ``{"expression": …}``. Null removes one.

    What was there before is recorded beside what is there now.
    """

    type = "update_attributes"
    label = "Update attributes"
    schema = {
        "properties": {
            "set": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 50,
                "propertyNames": {"minLength": 1, "maxLength": 100},
                "additionalProperties": {"anyOf": [_PLAIN, _EXPRESSION]},
            },
        },
        "required": ["set"],
    }

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        for name, value in step["set"].items():
            if isinstance(value, dict):
                yield Expression(f"set.{name}.expression", value["expression"])

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        values = {
            name: value_of(value["expression"], context) if isinstance(value, dict) else value
            for name, value in step["set"].items()
        }
        context.effects.set_attributes(
            SetAttributes(user_id=context.person.id, values=values, key=context.key)
        )
        before = {name: context.person.attributes.get(name) for name in values}
        return StepResult.go_on({"set": values, "before": before}, attributes=values)
