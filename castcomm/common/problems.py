"""What is wrong with something that people wrote: where, and a sentence; and what a JSON Schema finds of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError


@dataclass(frozen=True, slots=True)
class Problem:
    """``path`` is dotted and points into what was written (``steps.3.check``); ``message`` is a sentence."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


_TYPE_NAMES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def check(schema: Mapping[str, Any], value: Any, prefix: str) -> Iterator[Problem]:
    """Everything that does not fit ``schema`` (2020-12), with paths that begin with ``prefix``."""
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(value), key=lambda one: [str(part) for part in one.absolute_path])
    for error in errors:
        yield from _explain(error, prefix)


def _explain(error: ValidationError, prefix: str) -> Iterator[Problem]:
    path = ".".join(part for part in (prefix, *map(str, error.absolute_path)) if part)
    if error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield Problem(f"{path}.{name}" if path else name, "This is required.")
    elif error.validator == "additionalProperties":
        known = ", ".join(error.schema.get("properties", ()))
        for name in sorted(set(error.instance) - set(error.schema.get("properties", ()))):
            yield Problem(f"{path}.{name}" if path else name, f"There is no such field; there are {known}.")
    else:
        yield Problem(path, _sentence(error))


def _sentence(error: ValidationError) -> str:
    wanted, value = error.validator_value, error.instance
    sentences: dict[str, Callable[[], str]] = {
        "type": lambda: f"This must be {_type_names(wanted)}.",
        "enum": lambda: f"This must be one of {', '.join(map(str, wanted))}.",
        "const": lambda: f"This must be {wanted}.",
        "minimum": lambda: f"This must be at least {wanted}.",
        "exclusiveMinimum": lambda: f"This must be more than {wanted}.",
        "maximum": lambda: f"This must be at most {wanted}.",
        "minLength": lambda: "This must not be empty." if wanted == 1 else f"At least {wanted} characters.",
        "maxLength": lambda: f"At most {wanted} characters.",
        "minItems": lambda: "There must be at least one." if wanted == 1 else f"At least {wanted}.",
        "maxItems": lambda: f"At most {wanted}.",
        "uniqueItems": lambda: "Each may be there only once.",
        "minProperties": lambda: "There must be at least one field.",
        "maxProperties": lambda: f"At most {wanted} fields.",
        "pattern": lambda: error.schema.get(
            "description", "Use letters, digits, dots, hyphens and underscores."
        ),
    }
    keyword = str(error.validator)
    if keyword in sentences:
        return sentences[keyword]()
    return f"{_shown(value)} does not fit."


def _type_names(wanted: Any) -> str:
    names = [wanted] if isinstance(wanted, str) else wanted
    return " or ".join(_TYPE_NAMES.get(str(name), str(name)) for name in names)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"
