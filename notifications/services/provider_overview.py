"""All provider accounts at a glance: what they are, how their breakers stand, what went through them lately."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count

from castcomm.common.clock import now
from notifications.models import BreakerState, DeliveryAttempt, ProviderAccount
from notifications.services import breakers
from notifications.services.provider_accounts import PRIMARY_SETTINGS, account_of, environment_accounts
from notifications.vocabulary import Outcome

PERIOD = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """One account. ``organization`` is a slug, "" for all; limits are messages per time, None for none.

    ``sent`` and ``failed`` count attempts of the last hour; ``failed`` are all that ended otherwise.
    """

    key: str
    name: str
    provider: str
    channel: str
    organization: str
    position: int
    is_active: bool
    breaker: str
    per_minute: int | None
    per_hour: int | None
    per_day: int | None
    sent: int
    failed: int


def account_lines() -> list[AccountLine]:
    """Every account, those of the environment and inactive ones included, by channel in the order of trying."""
    rows = list(ProviderAccount.objects.select_related("organization"))
    accounts = [
        (account_of(row), row.is_active, row.organization.slug if row.organization else "") for row in rows
    ]
    accounts += [(one, True, "") for channel in PRIMARY_SETTINGS for one in environment_accounts(channel)]
    accounts.sort(key=lambda entry: (entry[0].channel, entry[2], entry[0].position))
    states = breakers.states()
    counts = _counts(account.key for account, _, _ in accounts)
    return [
        AccountLine(
            key=account.key,
            name=account.name,
            provider=account.provider,
            channel=account.channel,
            organization=organization,
            position=account.position,
            is_active=is_active,
            breaker=states[account.key].state if account.key in states else BreakerState.CLOSED,
            per_minute=account.per_minute,
            per_hour=account.per_hour,
            per_day=account.per_day,
            sent=counts.get((account.key, True), 0),
            failed=counts.get((account.key, False), 0),
        )
        for account, is_active, organization in accounts
    ]


def _counts(keys: Iterable[str]) -> dict[tuple[str, bool], int]:
    """By account and whether it was sent. Ids are UUIDv7, so the primary key finds the last hour."""
    since = uuid.UUID(int=int((now() - PERIOD).timestamp() * 1000) << 80)
    found: dict[tuple[str, bool], int] = {}
    attempts = DeliveryAttempt.objects.filter(id__gte=since, account__in=list(keys)).exclude(outcome="")
    for account, outcome, count in attempts.values_list("account", "outcome").annotate(count=Count("id")):
        key = (account, outcome == Outcome.SENT)
        found[key] = found.get(key, 0) + count
    return found
