"""Links and headers with which a mail can be unsubscribed from, without signing in.

A link's token (``castcomm.common.sealed_tokens``) is everything that the page needs to know: organization, delivery,
category, and the user or the bare address. No row has to be written per mail, and making one costs some microseconds.
A link is valid for ``VALID_YEARS`` from the moment in its delivery's id.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from castcomm.common.clock import now as current_time
from castcomm.common.sealed_tokens import seal, unseal
from notifications.services import preference_links

VALID_YEARS = 5
MAX_TOKEN = 1_500  # characters; the longest address that sending accepts makes fewer
MAX_HEADER = (
    800  # characters; a header's line may have 998 bytes (RFC 5322, 2.1.1), and an address cannot be folded
)
EXAMPLE_TOKEN = "example"  # noqa: S105 - a word, not a secret: the page says that it is an example
_PURPOSE = b"castcomm.mail-link.1"
_USER, _ADDRESS = b"u", b"a"
_IDS = 48  # bytes of the three ids


@dataclass(frozen=True, slots=True)
class MailLinks:
    """What a mail carries. The addresses are "" and there are no headers where they do not apply."""

    unsubscribe_url: str
    preferences_url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailLink:
    """What a token says. Either ``user_id`` or ``email`` is set."""

    organization_id: uuid.UUID
    delivery_id: uuid.UUID
    category_id: uuid.UUID
    user_id: uuid.UUID | None
    email: str


def links_for(
    *,
    organization_id: uuid.UUID,
    user_id: uuid.UUID | None,
    email: str,
    delivery_id: uuid.UUID,
    category_id: uuid.UUID,
    is_critical: bool,
) -> MailLinks:
    """The links and headers of one mail; ``email`` counts for a bare address (no ``user_id``) alone.

    Headers are those of RFC 2369 and RFC 8058. Critical mail cannot be unsubscribed from: it has the link to the
    preferences only, and a bare address has none of these.
    """
    preferences_url = ""
    if user_id is not None:
        preferences_url = preference_links.address_of(
            preference_links.make(organization_id, user_id, delivery_id)
        )
    if is_critical:
        return MailLinks("", preferences_url, {})
    token = make_token(
        MailLink(
            organization_id=organization_id,
            delivery_id=delivery_id,
            category_id=category_id,
            user_id=user_id,
            email="" if user_id is not None else email,
        )
    )
    url = unsubscribe_address(token)
    headers = {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return MailLinks(
        url,
        # Who has no account has this one page to decide on.
        preferences_url or url,
        headers if len(url) <= MAX_HEADER else {},
    )


def context_links(links: MailLinks) -> dict[str, str]:
    """What templates see of the links: ``unsubscribe_url`` and ``preferences_url``, "" where there is none."""
    return {"unsubscribe_url": links.unsubscribe_url, "preferences_url": links.preferences_url}


def example_links() -> dict[str, str]:
    """``context_links`` for previews and test sends: the page behind it says what would happen, and does nothing."""
    return {
        "unsubscribe_url": unsubscribe_address(EXAMPLE_TOKEN),
        "preferences_url": preference_links.address_of(preference_links.EXAMPLE_TOKEN),
    }


def unsubscribe_address(token: str) -> str:
    return f"{settings.PUBLIC_URL}/u/{token}"


def preferences_address(link: MailLink | None = None) -> str:
    """Where the person of ``link`` chooses in detail: by a link of the same mail as long as that is valid."""
    if link is not None and link.user_id is not None:
        token = preference_links.make(link.organization_id, link.user_id, link.delivery_id)
        if preference_links.read(token) is not None:
            return preference_links.address_of(token)
    return f"{settings.PUBLIC_URL}/preferences/"


def make_token(link: MailLink) -> str:
    """The URL-safe token that says ``link``: 108 characters for a user."""
    ids = link.organization_id.bytes + link.delivery_id.bytes + link.category_id.bytes
    who = _USER + link.user_id.bytes if link.user_id is not None else _ADDRESS + link.email.encode()
    return seal(ids + who, purpose=_PURPOSE)


def read_token(token: str) -> MailLink | None:
    """What ``token`` says, or None when nobody here made it or it is too old."""
    plain = unseal(token, purpose=_PURPOSE, max_length=MAX_TOKEN)
    if plain is None:
        return None
    organization_id, delivery_id, category_id = (
        uuid.UUID(bytes=plain[at : at + 16]) for at in range(0, _IDS, 16)
    )
    if _is_old(delivery_id):
        return None
    who = plain[_IDS + 1 :]
    is_user = plain[_IDS : _IDS + 1] == _USER
    return MailLink(
        organization_id=organization_id,
        delivery_id=delivery_id,
        category_id=category_id,
        user_id=uuid.UUID(bytes=who) if is_user else None,
        email="" if is_user else who.decode(),
    )


def _is_old(delivery_id: uuid.UUID) -> bool:
    """Whether the delivery was made more than ``VALID_YEARS`` ago: a UUIDv7 begins with milliseconds of Unix time."""
    made = dt.timedelta(milliseconds=delivery_id.int >> 80)
    age = current_time() - dt.datetime(1970, 1, 1, tzinfo=dt.UTC) - made
    return age > dt.timedelta(days=365.25 * VALID_YEARS)
