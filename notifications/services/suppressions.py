"""The suppression list: addresses to which nothing is sent any more, and how they come off it."""

from __future__ import annotations

import datetime as dt

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.models import Suppression, SuppressionReason
from notifications.services.recipients import address_index, normalize_email, normalize_phone
from notifications.vocabulary import Channel

SUPPRESSIBLE = (Channel.EMAIL, Channel.SMS)


def suppress_address(
    *,
    organization: Organization,
    channel: str,
    address: str,
    reason: str = SuppressionReason.MANUAL,
    detail: str = "",
    expires_at: dt.datetime | None = None,
) -> Suppression:
    """Put an e-mail address or phone number on the list; one that is there gets the new reason and end.

    Deliveries that wait are held back too: dispatch looks again. Raises InvalidInput that names the field.
    """
    address, index = check_address(channel, address)
    check_end(expires_at)
    row, _ = Suppression.objects.update_or_create(
        organization=organization,
        channel=channel,
        address_index=index,
        defaults={"address": address, "reason": reason, "detail": detail, "expires_at": expires_at},
    )
    return row


def check_address(channel: str, address: str) -> tuple[str, str]:
    """The address in its normal form and its blind index; raises InvalidInput that names the field."""
    if channel == Channel.EMAIL:
        email = normalize_email(address, attr="address")
        return email, address_index(email, "")
    if channel == Channel.SMS:
        phone = normalize_phone(address, attr="address")
        return phone, address_index("", phone)
    raise InvalidInput("Only e-mail addresses and phone numbers can be suppressed.", attr="channel")


def change_suppression(
    *, suppression: Suppression, detail: str, expires_at: dt.datetime | None
) -> Suppression:
    """Change the note and the end of an entry; the address and why it came on the list stay."""
    if expires_at != suppression.expires_at:
        check_end(expires_at)
    suppression.detail = detail
    suppression.expires_at = expires_at
    suppression.save(update_fields=["detail", "expires_at"])
    return suppression


def check_end(expires_at: dt.datetime | None) -> None:
    """Raises InvalidInput when the end of a suppression has passed."""
    if expires_at is not None and expires_at <= current_time():
        raise InvalidInput("This moment has passed.", attr="expires_at")


def lift_suppression(*, suppression: Suppression) -> None:
    """Take an address off the list: it can be sent to again from now on."""
    suppression.delete()
