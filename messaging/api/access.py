"""What the views of conversations share: who asks, for which thread, with what body."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework.request import Request

from accounts.api.tenancy import TenantAPIView
from castcomm.common.errors import InvalidInput, NotFound, NotPermitted
from castcomm.common.ids import parse_id
from messaging.services.validation import check_seq

MAX_PAGE = 200


class ConversationView(TenantAPIView):
    """Conversations belong to people: an API key has none."""

    @property
    def user_id(self) -> uuid.UUID:
        """The person who asks; raises NotPermitted for an API key."""
        if self.user is None:
            raise NotPermitted("Conversations are for people who are signed in.")
        return self.user.id

    def place(self, thread_id: str) -> dict[str, uuid.UUID]:
        """Organization, thread and person, as the services take them; raises NotFound for a malformed id."""
        return {
            "organization_id": self.organization.id,
            "thread_id": path_id(thread_id),
            "user_id": self.user_id,
        }


def path_id(value: str) -> uuid.UUID:
    """An id from the path; what cannot be an id does not exist."""
    identifier = parse_id(value)
    if identifier is None:
        raise NotFound("There is no such thing.")
    return identifier


def body_of(request: Request, *known: str) -> dict[str, Any]:
    """The body as an object that has no fields but the ``known`` ones; raises InvalidInput."""
    data: Any = request.data
    if not isinstance(data, dict):
        raise InvalidInput("The body must be a JSON object.", code="wrong_type")
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise InvalidInput(
            f"Unknown field; known: {', '.join(known) or 'none'}.", attr=unknown[0], code="unknown_field"
        )
    return data


def seq_in_query(request: Request, name: str) -> int | None:
    """A sequence number from the query, or None; raises InvalidInput."""
    value = request.query_params.get(name)
    return None if value is None else check_seq(value, attr=name)


def limit_in_query(request: Request, *, default: int, most: int = MAX_PAGE) -> int:
    """``?limit=`` from 1 to ``most``; raises InvalidInput."""
    value = request.query_params.get("limit")
    if value is None:
        return default
    limit = check_seq(value, attr="limit")
    if not 1 <= limit <= most:
        raise InvalidInput(f"limit must be from 1 to {most}.", attr="limit")
    return limit


def flag_in_query(request: Request, name: str) -> bool:
    """``true`` or ``false`` from the query, false unless told; raises InvalidInput."""
    value = request.query_params.get(name, "false").lower()
    if value not in {"true", "false", "1", "0"}:
        raise InvalidInput(f"{name} must be true or false.", attr=name)
    return value in {"true", "1"}
