"""What the kinds share that are rows of one table."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models

from accounts.models import Organization
from castcomm.common.errors import InvalidInput
from castcomm.common.problems import Problem

KEY_TEXT = r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?"  # that of KEY, without its ends
KEY_PATTERN = re.compile(KEY_TEXT)
NAME = {"type": "string", "minLength": 1, "maxLength": 200}
TEXT = {"type": "string", "default": ""}
OFF = {"type": "boolean", "default": False}
ON = {"type": "boolean", "default": True}


class FieldsInvalid(InvalidInput):
    """Fields that a form would refuse; ``problems`` has each of them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].message, attr=problems[0].path or None)
        self.problems = tuple(problems)


def object_of(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """The schema of an entry with these fields and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def clean(row: models.Model, *, but: Collection[str] = ()) -> None:
    """Hold a row, ``but`` for some fields, to what the admin's form would; raises FieldsInvalid."""
    try:
        row.full_clean(exclude=set(but))
    except ValidationError as error:
        said = error.message_dict.items()
        raise FieldsInvalid(
            [
                Problem("" if name == NON_FIELD_ERRORS else name, " ".join(sentences))
                for name, sentences in said
            ]
        ) from error


def named(model: type[models.Model], organization: Organization, key: str, attr: str) -> Any:
    """The row that another one names by its key; raises InvalidInput."""
    row = model._default_manager.filter(organization=organization, key=key).first()
    if row is None:
        raise InvalidInput(f"There is no {model._meta.verbose_name} {key!r}.", attr=attr, code="not_found")
    return row
