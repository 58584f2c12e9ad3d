"""Serializers for input that say what they do not know, instead of ignoring it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError


class StrictSerializer(serializers.Serializer[Any]):
    """A Serializer that refuses fields it does not have, each by its name, with the code ``unknown_field``."""

    def to_internal_value(self, data: Any) -> Any:
        errors: dict[str, Any] = {}
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            for name in sorted(str(name) for name in data if name not in known):
                errors[name] = [ErrorDetail("There is no such field.", code="unknown_field")]
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            if not errors or not isinstance(error.detail, dict):
                raise
            raise ValidationError({**error.detail, **errors}) from error
        if errors:
            raise ValidationError(errors)
        return value
