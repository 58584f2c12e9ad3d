"""A test message through one provider account, whatever the order of accounts and its breaker say."""

from __future__ import annotations

import uuid

import structlog
from django.conf import settings
from django.core.cache import cache

from accounts.selectors import members_of
from castcomm.common.errors import InvalidInput, RateLimited
from castcomm.common.ids import new_id
from notifications.models import PushSubscription
from notifications.providers.base import (
    Account,
    EmailMessage,
    PushMessage,
    PushTarget,
    Result,
    SmsMessage,
)
from notifications.services.provider_accounts import provider_of
from notifications.services.rate_limits import take
from notifications.services.recipients import normalize_email, normalize_phone
from notifications.vocabulary import Channel

log = structlog.get_logger(__name__)

TESTS = 10  # per person in ``PER_SECONDS``
PER_SECONDS = 600
_SUBJECT = "A test from CastComm"
_TEXT = "This is a test. It shows that messages reach you through {name}."


def send_test(*, account: Account, recipient: str, by: uuid.UUID) -> Result:
    """Send a test to ``recipient`` (an address, a number, for push a member's address) and return what came of it.

    Waits for the provider. Raises InvalidInput that names ``recipient``, and RateLimited.
    """
    message = _message(account, recipient)
    _count(by)
    owner = account.organization_id or by
    if not (grant := take(account, organization_id=owner, sends_per_minute=None, wanted=1)).granted:
        raise RateLimited("This account has reached its own limit.", retry_after=grant.retry_in)
    result = provider_of(account).deliver(message)
    log.info(
        "provider_account.tested",
        account=account.key,
        provider=account.provider,
        by=str(by),
        outcome=str(result.outcome),
        seconds=round(result.elapsed, 3),
    )
    return result


def _count(by: uuid.UUID) -> None:
    key = f"provider-tests:{by}"
    cache.add(key, 0, PER_SECONDS)
    if cache.incr(key) > TESTS:
        raise RateLimited(
            f"{TESTS} tests in {PER_SECONDS // 60} minutes are enough; try again later.",
            retry_after=PER_SECONDS,
        )


def _message(account: Account, recipient: str) -> EmailMessage | SmsMessage | PushMessage:
    delivery_id = str(new_id())
    text = _TEXT.format(name=account.name)
    if account.channel == Channel.EMAIL:
        sender = settings.EMAIL_FROM
        return EmailMessage(
            delivery_id=delivery_id,
            sender=sender,
            sender_name=settings.EMAIL_FROM_NAME,
            to=normalize_email(recipient, attr="recipient"),
            subject=_SUBJECT,
            text=text,
            html="",
            message_id=f"{delivery_id}@{sender.rsplit('@', 1)[-1]}",
        )
    if account.channel == Channel.SMS:
        number = normalize_phone(recipient, attr="recipient")
        return SmsMessage(delivery_id=delivery_id, to=number, text=text)
    return _push(account, delivery_id, recipient, text)


def _push(account: Account, delivery_id: str, recipient: str, text: str) -> PushMessage:
    email = normalize_email(recipient, attr="recipient")
    rows = PushSubscription.objects.filter(user__email=email)
    if account.organization_id is not None:
        members = members_of(account.organization_id).values("user")
        rows = rows.filter(organization=account.organization_id, user__in=members)
    devices = list(rows[:20])
    if not devices:
        raise InvalidInput("Nobody with this address has a device here.", attr="recipient")
    return PushMessage(
        delivery_id=delivery_id,
        user_id=str(devices[0].user_id),
        title=_SUBJECT,
        body=text,
        action_url="",
        targets=tuple(_target(one) for one in devices),
    )


def _target(row: PushSubscription) -> PushTarget:
    return PushTarget(
        subscription_id=str(row.id), kind=row.kind, endpoint=row.endpoint, p256dh=row.p256dh, auth=row.auth
    )
