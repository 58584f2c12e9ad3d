"""Where SMS may go: SMS_ALLOWED_REGIONS of the deployment, ``sms_regions`` in an organization's settings, and what kind
of number it is.

Both lists hold for an organization that has one: it can narrow what the deployment allows and never widen it, because
numbers in far countries are how strangers turn a form into money (toll fraud). Numbers that charge their caller, and
short ones, are never sent to.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import phonenumbers
from django.conf import settings
from phonenumbers import PhoneNumberType, ValidationResult, shortnumberinfo

from accounts.models import Organization
from castcomm.common.errors import InvalidInput
from notifications.services.recipients import Reference

SETTING = "sms_regions"
TRUST = 5.0  # seconds for which a process trusts what it has read of an organization
_CHARGING = frozenset({PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST})
_NOWHERE: frozenset[str] = frozenset()

_read: dict[uuid.UUID, tuple[float, frozenset[str] | None]] = {}


def allowed_regions(given: Any) -> frozenset[str] | None:
    """The regions (ISO 3166-1, two letters) to which an organization with these settings may send; None for all.

    What is there and is no list of codes allows nothing: a slip of the pen must not open the world.
    """
    deployment = frozenset(settings.SMS_ALLOWED_REGIONS)
    own = given.get(SETTING) if isinstance(given, Mapping) else None
    if own in (None, "", []):
        return deployment or None
    codes = own.split(",") if isinstance(own, str) else own
    if not isinstance(codes, list):
        return _NOWHERE
    narrowed = frozenset(str(code).strip().upper() for code in codes)
    return narrowed & deployment if deployment else narrowed


def regions_of(organization_id: uuid.UUID) -> frozenset[str] | None:
    """``allowed_regions`` of an organization by its id; at most ``TRUST`` seconds old."""
    read_at, known = _read.get(organization_id, (-TRUST, None))
    if time.monotonic() - read_at <= TRUST:
        return known
    given = Organization.objects.filter(id=organization_id).values_list("settings", flat=True).first()
    found = allowed_regions(given)
    _read[organization_id] = (time.monotonic(), found)
    return found


def may_text(phone: str, allowed: frozenset[str] | None) -> bool:
    """Whether an SMS may go to this number (E.164)."""
    kind, region = _facts(phone)
    if kind == "refused":
        return False
    return allowed is None or region in allowed


def check_regions(*, organization: Organization, references: Sequence[Reference]) -> None:
    """Raise InvalidInput that names the first bare number (``recipients.N``) to which no SMS may go."""
    phones = [one for one in references if one.phone]
    if not phones:
        return
    allowed = allowed_regions(organization.settings)
    for one in phones:
        if not may_text(one.phone, allowed):
            raise InvalidInput(
                "SMS to this country, or to this kind of number, are not allowed.",
                attr=f"recipients.{one.position}",
                code="region_not_allowed",
            )


def forget_regions() -> None:
    """Read the organizations' settings anew at the next look."""
    _read.clear()


def _facts(phone: str) -> tuple[str, str]:
    """Whether the number is "refused" or "fine", and its region ("" when that cannot be told)."""
    try:
        number = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return "refused", ""
    is_short = phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE or (
        shortnumberinfo.is_valid_short_number(number) and not phonenumbers.is_valid_number(number)
    )
    if is_short or phonenumbers.number_type(number) in _CHARGING:
        return "refused", ""
    return "fine", _region(number)


def _region(number: phonenumbers.PhoneNumber) -> str:
    """The region of a number. Where several share its calling code, one that no region knows belongs to none."""
    found = phonenumbers.region_code_for_number(number)
    if found is None:
        sharing = phonenumbers.region_codes_for_country_code(number.country_code or 0)
        found = sharing[0] if len(sharing) == 1 else ""
    return str(found)
