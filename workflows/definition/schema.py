"""JSON Schema of a definition, composed of what the registered step types say of themselves."""

from __future__ import annotations

from typing import Any

from workflows.steps.base import step_types

MAX_STEPS = 200
VARIABLE_TYPES = ("string", "number", "boolean", "date", "list", "object")
_KEY = {"type": "string", "pattern": r"^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\Z", "maxLength": 100}
_EXPRESSION = {"type": "string", "minLength": 1, "maxLength": 1000}
_VARIABLE = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": list(VARIABLE_TYPES)},
        "required": {"type": "boolean"},
        "description": {"type": "string", "maxLength": 500},
    },
    "additionalProperties": False,
}
_SCHEDULE = {
    "type": "object",
    "required": ["type", "cron", "audience"],
    "properties": {
        "type": {"const": "schedule"},
        "cron": {"type": "string", "minLength": 9, "maxLength": 100},
        "timeZone": {"type": "string", "minLength": 1, "maxLength": 64},
        "audience": _EXPRESSION,
    },
    "additionalProperties": False,
}
_SEGMENT = {
    "type": "object",
    "required": ["type", "segment"],
    "properties": {"type": {"const": "segment"}, "segment": _KEY},
    "additionalProperties": False,
}
TRIGGERS: dict[str, dict[str, Any]] = {"schedule": _SCHEDULE, "segment": _SEGMENT}


def definition_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a whole definition; ``#/$defs/step`` is any step."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **frame_schema(),
        "$defs": {"step": {"oneOf": [step.full_schema() for _, step in step_types.items()]}},
    }


def frame_schema() -> dict[str, Any]:
    """The schema of everything around the steps; it refers to ``#/$defs/step``."""
    return {
        "type": "object",
        "required": ["name", "type", "steps"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "type": _KEY,
            "triggerEvent": _KEY,
            "trigger": {"oneOf": list(TRIGGERS.values())},
            "description": {"type": "string", "maxLength": 2000},
            "critical": {"type": "boolean"},
            "variables": {"type": "object", "maxProperties": 100, "additionalProperties": _VARIABLE},
            "cancelOn": {"type": "array", "maxItems": 20, "items": _KEY},
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": {"$ref": "#/$defs/step"},
            },
        },
        "additionalProperties": False,
    }
