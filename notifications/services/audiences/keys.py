"""What the fields of topics and lists must be, said as the API says it."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from castcomm.common.errors import InvalidInput
from notifications.models import RecipientList, Topic
from notifications.rendering.sandbox import storable


def check_fields(row: Topic | RecipientList) -> None:
    """Raise InvalidInput that names the first field that cannot be stored."""
    for name in ("key", "name", "description"):
        value = getattr(row, name)
        if not isinstance(value, str) or "\x00" in value or not storable(value):
            raise InvalidInput("Text may not contain NUL or half a surrogate pair.", attr=name)
    try:
        row.clean_fields(exclude=["organization"])
    except ValidationError as error:
        name, problems = next(iter(error.message_dict.items()))
        raise InvalidInput(problems[0], attr=name) from error
