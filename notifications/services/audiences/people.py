"""People as they are named for topics and lists, and who of them is a member."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from accounts.models import Membership
from castcomm.common.errors import InvalidInput
from notifications.services.recipients import Reference, parse_recipients


def parse_people(given: Sequence[Any], *, attr: str, most: int) -> list[Reference]:
    """The form of each, as of recipients; raises InvalidInput that names ``attr`` or a position in it."""
    try:
        references = parse_recipients(given)
    except InvalidInput as error:
        error.attr = (error.attr or "").replace("recipients", attr, 1)
        raise
    if len(references) > most:
        raise InvalidInput(f"At most {most} in one call.", attr=attr, code="too_many")
    return references


def members_by_email(organization_id: uuid.UUID, references: Sequence[Reference]) -> dict[str, uuid.UUID]:
    """The active members whose addresses are among these."""
    emails = [one.email for one in references if one.email]
    members = _members(organization_id).filter(user__email__in=emails)
    return dict(members.values_list("user__email", "user_id"))


def resolve_members(
    organization_id: uuid.UUID, references: Sequence[Reference], *, attr: str
) -> set[uuid.UUID]:
    """The active members who are meant; raises InvalidInput that names the position of one who is none."""
    ids = [one.user_id for one in references if one.user_id]
    known = set(_members(organization_id).filter(user_id__in=ids).values_list("user_id", flat=True))
    by_email = members_by_email(organization_id, references)
    found = set()
    for one in references:
        user_id = by_email.get(one.email) if one.email else one.user_id if one.user_id in known else None
        if user_id is None:
            raise InvalidInput(
                "No active member is meant by this.", attr=f"{attr}.{one.position}", code="unknown_recipient"
            )
        found.add(user_id)
    return found


def _members(organization_id: uuid.UUID) -> Any:
    return Membership.objects.filter(organization_id=organization_id, is_active=True, user__is_active=True)
