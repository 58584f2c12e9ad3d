"""The JSON of a workflow: its schema, composed of the registered step types, and the way through its steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError

from workflows.errors import DefinitionInvalid, Problem
from workflows.steps.base import Catalog, step_types

MAX_STEPS = 200
MAX_BYTES = 256 * 1024
_KEY = {"type": "string", "pattern": r"^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\Z", "maxLength": 100}
_TYPE_NAMES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A step and where it stands."""

    path: str
    step: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.step["type"])


def definition_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a whole definition."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["name", "type", "steps"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "type": _KEY,
            "triggerEvent": _KEY,
            "description": {"type": "string", "maxLength": 2000},
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": {"oneOf": [step.full_schema() for _, step in step_types.items()]},
            },
        },
        "additionalProperties": False,
    }


def validate_definition(definition: Any) -> dict[str, Any]:
    """The definition as it is; raises DefinitionInvalid with everything that is wrong."""
    problems = list(_problems_of(definition))
    if problems:
        raise DefinitionInvalid(problems)
    checked: dict[str, Any] = definition
    return checked


def check_references(definition: Mapping[str, Any], catalog: Catalog) -> None:
    """Raises DefinitionInvalid for templates and event types that are not there."""
    problems = [
        Problem(f"steps.{place.path}.{problem.path}", problem.message)
        for place in _places(definition)
        for problem in step_types.get(place.type).check_references(place.step, catalog)
    ]
    if problems:
        raise DefinitionInvalid(problems)


def first_place(definition: Mapping[str, Any]) -> Place:
    """Where an execution begins."""
    return Place("0", definition["steps"][0])


def place_at(definition: Mapping[str, Any], path: str) -> Place:
    """The step under ``path``."""
    return Place(path, definition["steps"][int(path)])


def place_after(definition: Mapping[str, Any], path: str) -> Place | None:
    """The step that follows the one under ``path``, or None at the end."""
    following = int(path) + 1
    return place_at(definition, str(following)) if following < len(definition["steps"]) else None


def _places(definition: Mapping[str, Any]) -> Iterator[Place]:
    for index, step in enumerate(definition["steps"]):
        yield Place(str(index), step)


def all_places(definition: Mapping[str, Any]) -> list[Place]:
    """Every step, in the order of the definition."""
    return list(_places(definition))


def _problems_of(definition: Any) -> Iterator[Problem]:
    unstorable = _unstorable(definition)
    if unstorable:
        yield Problem("", unstorable)
        return
    frame = definition_schema()
    frame["properties"]["steps"]["items"] = {"type": "object"}
    yield from _check(frame, definition, "")
    steps = definition.get("steps") if isinstance(definition, dict) else None
    if isinstance(steps, list):
        for index, step in enumerate(steps[:MAX_STEPS]):
            if isinstance(step, dict):
                yield from _step_problems(step, f"steps.{index}")


def _step_problems(step: dict[str, Any], path: str) -> Iterator[Problem]:
    kind = step.get("type")
    if "type" not in step:
        yield Problem(f"{path}.type", f"A step needs a type: {', '.join(step_types)}.")
        return
    if not isinstance(kind, str) or kind not in step_types:
        yield Problem(f"{path}.type", f"There is no step type {kind!r}; there are {', '.join(step_types)}.")
        return
    found = list(_check(step_types.get(kind).full_schema(), step, path))
    if not found:
        found = [Problem(f"{path}.{one.path}", one.message) for one in step_types.get(kind).validate(step)]
    yield from found


def _check(schema: Mapping[str, Any], value: Any, prefix: str) -> Iterator[Problem]:
    validator = jsonschema.Draft202012Validator(schema)
    for error in sorted(
        validator.iter_errors(value), key=lambda one: [str(part) for part in one.absolute_path]
    ):
        yield from _explain(error, prefix)


def _explain(error: ValidationError, prefix: str) -> Iterator[Problem]:
    parts = [prefix, *map(str, error.absolute_path)]
    path = ".".join(part for part in parts if part)
    if error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield Problem(f"{path}.{name}" if path else name, "This is required.")
    elif error.validator == "additionalProperties":
        known = ", ".join(error.schema["properties"])
        for name in sorted(set(error.instance) - set(error.schema["properties"])):
            yield Problem(f"{path}.{name}" if path else name, f"There is no such field; there are {known}.")
    else:
        yield Problem(path, _sentence(str(error.validator), error.validator_value, error.instance))


def _sentence(keyword: str, wanted: Any, value: Any) -> str:
    sentences: dict[str, Callable[[], str]] = {
        "type": lambda: f"This must be {_TYPE_NAMES.get(str(wanted), wanted)}.",
        "enum": lambda: f"This must be one of {', '.join(map(str, wanted))}.",
        "minimum": lambda: f"This must be at least {wanted}.",
        "maximum": lambda: f"This must be at most {wanted}.",
        "minLength": lambda: "This must not be empty.",
        "maxLength": lambda: f"At most {wanted} characters.",
        "minItems": lambda: "There must be at least one.",
        "maxItems": lambda: f"At most {wanted}.",
        "maxProperties": lambda: f"At most {wanted} fields.",
        "pattern": lambda: "Use letters, digits, dots, hyphens and underscores.",
    }
    return sentences[keyword]() if keyword in sentences else f"{value!r:.100} does not fit."


def _unstorable(definition: Any) -> str:
    """A sentence when PostgreSQL could not keep it, else empty."""
    try:
        text = json.dumps(definition, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (ValueError, RecursionError, TypeError):
        return "This is not JSON that can be stored."
    if size > MAX_BYTES:
        return f"A definition has at most {MAX_BYTES // 1024} KiB."
    return "Text may not contain NUL characters." if "\\u0000" in text else ""
