"""What the views of workflows share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.serializers import Serializer

from accounts.models import Organization, User
from castcomm.common.errors import InvalidInput
from workflows.errors import DefinitionInvalid
from workflows.selectors import find_member


@contextmanager
def definition_errors() -> Iterator[None]:
    """Answer with every problem of a definition, each named below ``definition``."""
    try:
        yield
    except DefinitionInvalid as error:
        detail: dict[str, Any] = {}
        for problem in error.problems:
            _put(detail, ["definition", *filter(None, problem.path.split("."))], problem.message)
        raise ValidationError(detail) from error


def _put(detail: dict[str, Any], path: list[str], message: str) -> None:
    *above, last = path
    for part in above:
        below = detail.setdefault(part, {})
        if not isinstance(below, dict):
            # This part is wrong as a whole already; what is wrong inside it can wait.
            return
        detail = below
    detail.setdefault(last, [ErrorDetail(message, code="invalid_definition")])


def checked(serializer_class: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """The input as plain values; raises DRF's ValidationError."""
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def members_or_error(organization: Organization, named: list[str]) -> list[User]:
    """The members with these ids or addresses, each once; raises InvalidInput for ``users.N``."""
    found: dict[uuid.UUID, User] = {}
    for position, one in enumerate(named):
        user = find_member(organization, one)
        if user is None:
            message = "No active member has this id or address."
            raise InvalidInput(message, attr=f"users.{position}", code="unknown_user")
        found[user.id] = user
    return list(found.values())


def member_or_error(organization: Organization, named: str) -> User:
    """The member with this id or address; raises InvalidInput for ``user``."""
    user = find_member(organization, named)
    if user is None:
        raise InvalidInput("No active member has this id or address.", attr="user", code="unknown_user")
    return user
