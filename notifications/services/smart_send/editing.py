"""Setting whether an organization lets low priority messages wait for a good hour."""

from __future__ import annotations

from django.db import transaction

from accounts.models import Organization
from castcomm.common.errors import InvalidInput
from notifications.models import EngagementHistogram, SmartSendPolicy
from notifications.models.engagement import HOURS_OF_WEEK


def policy_of(organization: Organization) -> SmartSendPolicy:
    """The organization's policy; one that is off and not stored where none was made."""
    found = SmartSendPolicy.objects.for_organization(organization).first()
    return found or SmartSendPolicy(organization=organization)


def set_policy(
    *, organization: Organization, is_enabled: bool, max_wait_hours: int | None = None
) -> SmartSendPolicy:
    """Switch it on or off; ``max_wait_hours`` None leaves it as it is. Raises InvalidInput that names the field."""
    if max_wait_hours is not None and not 1 <= max_wait_hours <= HOURS_OF_WEEK:
        raise InvalidInput(f"From 1 to {HOURS_OF_WEEK} hours.", attr="max_wait_hours")
    defaults: dict[str, object] = {"is_enabled": is_enabled}
    if max_wait_hours is not None:
        defaults["max_wait_hours"] = max_wait_hours
    with transaction.atomic():
        row: SmartSendPolicy = SmartSendPolicy.objects.update_or_create(
            organization=organization, defaults=defaults
        )[0]
    return row


def engagements_counted(organization: Organization) -> int:
    """How often people have attended to something since it was switched on: below five nothing waits."""
    row = EngagementHistogram.objects.for_organization(organization).filter(user=None).first()
    return row.total if row else 0
