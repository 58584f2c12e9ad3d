"""Links in mails to the preference centre of one person in one organization, without signing in.

The token says who, where, and which mail it stands in. It is valid for ``VALID`` from when the mail was last due,
and opens nothing but preferences, digest settings, topics and consents (``api.preference_token``).
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from django.conf import settings

from castcomm.common.clock import now as current_time
from castcomm.common.sealed_tokens import seal, unseal
from notifications.models import Delivery

VALID = dt.timedelta(days=30)
EXAMPLE_TOKEN = "example"  # noqa: S105 - a word, not a secret: the page says that it is an example
MAX_TOKEN = 100  # characters; a token has 86
_PURPOSE = b"castcomm.preferences.1"
_IDS = 48  # bytes of the three ids
_UNIX_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceLink:
    """What a token says."""

    organization_id: uuid.UUID
    user_id: uuid.UUID
    delivery_id: uuid.UUID


def make(organization_id: uuid.UUID, user_id: uuid.UUID, delivery_id: uuid.UUID) -> str:
    """The token for a mail: the same one however often the mail is made."""
    return seal(organization_id.bytes + user_id.bytes + delivery_id.bytes, purpose=_PURPOSE)


def address_of(token: str) -> str:
    """The page behind the token."""
    return f"{settings.PUBLIC_URL}/p/{token}"


def read(token: str) -> PreferenceLink | None:
    """What ``token`` says, or None when nobody here made it or it is too old."""
    link = open_link(token)
    return link if link is not None and not is_too_old(link) else None


def open_link(token: str) -> PreferenceLink | None:
    """What ``token`` says however old it is, or None when nobody here made it. Only for telling what is wrong."""
    plain = unseal(token, purpose=_PURPOSE, max_length=MAX_TOKEN)
    if plain is None or len(plain) != _IDS:
        return None
    organization_id, user_id, delivery_id = (
        uuid.UUID(bytes=plain[at : at + 16]) for at in range(0, _IDS, 16)
    )
    return PreferenceLink(organization_id=organization_id, user_id=user_id, delivery_id=delivery_id)


def is_too_old(link: PreferenceLink) -> bool:
    """Whether the mail is older than ``VALID``; the delivery's row is asked only when its id is older than that."""
    oldest = current_time() - VALID
    # A UUIDv7 begins with milliseconds of Unix time.
    if _UNIX_EPOCH + dt.timedelta(milliseconds=link.delivery_id.int >> 80) >= oldest:
        return False
    # It was made long before it was sent, by a schedule.
    return not (
        Delivery.objects.for_organization(link.organization_id)
        .filter(id=link.delivery_id, due_at__gte=oldest)
        .exists()
    )
