"""Setting an organization's frequency caps."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from accounts.models import Organization
from castcomm.common.errors import InvalidInput, NotFound
from notifications.models import FrequencyCap
from notifications.models.caps import CapOverflow, CapPeriod
from notifications.services.caps.room import EXTERNAL

MAX_LIMIT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CapChange:
    """At most ``limit`` in a ``period`` on ``channel`` (empty: e-mail, SMS and push together)."""

    channel: str
    period: str
    limit: int
    overflow: str = CapOverflow.DIGEST.value
    is_active: bool = True


def set_cap(*, organization: Organization, change: CapChange) -> FrequencyCap:
    """Make or change the cap of this channel and period; raises InvalidInput that names the field."""
    check_change(change)
    with transaction.atomic():
        row: FrequencyCap = FrequencyCap.objects.update_or_create(
            organization=organization,
            channel=change.channel,
            period=change.period,
            defaults={"limit": change.limit, "overflow": change.overflow, "is_active": change.is_active},
        )[0]
    return row


def delete_cap(*, organization: Organization, channel: str, period: str) -> None:
    """Take a cap away; raises NotFound when there is none. What waits for room goes out when it is due."""
    rows = FrequencyCap.objects.for_organization(organization).filter(channel=channel, period=period)
    with transaction.atomic():
        row = rows.first()
        if row is None:
            raise NotFound("There is no such cap.")
        row.delete()


def check_change(change: CapChange) -> None:
    """Raises InvalidInput that names the field."""
    if change.channel not in ("", *EXTERNAL):
        raise InvalidInput(f"One of {', '.join(EXTERNAL)}, or none for all of them.", attr="channel")
    if change.period not in CapPeriod.values:
        raise InvalidInput(f"One of {', '.join(CapPeriod.values)}.", attr="period")
    if change.overflow not in CapOverflow.values:
        raise InvalidInput(f"One of {', '.join(CapOverflow.values)}.", attr="overflow")
    if not 1 <= change.limit <= MAX_LIMIT:
        raise InvalidInput(f"From 1 to {MAX_LIMIT:,}.", attr="limit")
