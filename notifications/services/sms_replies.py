"""What people answer to an SMS: STOP puts their number on the suppression list, START takes it off again.

Whose list: an account of one organization speaks for that organization. An account that serves several cannot know
whom the person meant, so that STOP counts for each that has texted the number through it within ``RECENTLY``; if
none has, for each that it serves and in which an active member has the number. START takes back unsubscriptions with
all organizations that the account serves. Nothing but an unsubscription is ever taken back by START.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import Membership, Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.models import Delivery, ProviderAccount, ProviderEvent
from notifications.providers.base import Account
from notifications.services.suppressions import check_address, lift_unsubscription, suppress_address
from notifications.vocabulary import Channel, ReceiptKind, SuppressionReason

log = structlog.get_logger(__name__)

RECENTLY = dt.timedelta(days=180)
MAX_WORD = 40  # characters; a longer answer is no keyword

# What carriers and providers take for it everywhere; the settings add words of other languages.
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "UNSTOP", "YES"})
HELP_WORDS = frozenset({"HELP", "INFO"})


class Answer(StrEnum):
    STOP = "STOP"
    START = "START"
    HELP = "HELP"
    OTHER = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An SMS that came in. ``sender`` and ``recipient`` as the provider writes them; ``keyword`` is what the provider
    took it for (STOP, START, HELP), if it says so. ``payload`` is what is kept of the raw message."""

    message_id: str
    sender: str
    recipient: str
    text: str
    keyword: str = ""
    payload: Mapping[str, Any]


def answer_of(text: str) -> Answer:
    """What a whole answer means; a word inside a sentence means nothing."""
    word = " ".join(text[: 4 * MAX_WORD].split()).strip(" .,;:!?\"'()[]").upper()
    if len(word) > MAX_WORD:
        return Answer.OTHER
    for answer, words, more in (
        (Answer.STOP, STOP_WORDS, settings.SMS_STOP_WORDS),
        (Answer.START, START_WORDS, settings.SMS_START_WORDS),
        (Answer.HELP, HELP_WORDS, settings.SMS_HELP_WORDS),
    ):
        if word in words or word in {one.strip().upper() for one in more}:
            return answer
    return Answer.OTHER


def take_reply(*, account: Account, reply: Reply) -> Answer:
    """Act on an SMS that came in, once per message id; returns what it meant.

    What means nothing is not kept. The same message again changes nothing, also when others came in between.
    """
    answer = (
        Answer(reply.keyword) if reply.keyword in set(Answer) and reply.keyword else answer_of(reply.text)
    )
    if answer not in (Answer.STOP, Answer.START):
        return answer
    if not reply.sender.startswith("+"):
        return answer  # a short code, or another channel (whatsapp:+49…), whose list this is not
    try:
        phone, index = check_address(Channel.SMS, reply.sender)
    except InvalidInput:
        log.info("sms.reply_without_number", account=account.key, message_id=reply.message_id)
        return answer
    with transaction.atomic():
        if not _is_new(account, reply, answer, index):
            return answer
        count = _stop(account, reply, phone, index) if answer == Answer.STOP else _start(account, phone)
    log.info(
        "sms.reply", account=account.key, message_id=reply.message_id, answer=answer, organizations=count
    )
    return answer


def _is_new(account: Account, reply: Reply, answer: Answer, index: str) -> bool:
    """Write the message down; False when it was there."""
    kind = ReceiptKind.UNSUBSCRIBED if answer == Answer.STOP else ReceiptKind.ACCEPTED
    _, is_new = ProviderEvent.objects.get_or_create(
        provider=account.provider,
        event_key=f"{account.key}:in:{reply.message_id}"[:200],
        defaults={
            "organization_id": account.organization_id,
            "account": account.key,
            "kind": kind,
            "recipient_index": index,
            "provider_message_id": reply.message_id[:255],
            "occurred_at": current_time(),
            "detail": f"Answered {answer}.",
            "payload": dict(reply.payload),
        },
    )
    return is_new


def _stop(account: Account, reply: Reply, phone: str, index: str) -> int:
    organizations = list(_meant(account, index))
    for organization in organizations:
        suppress_address(
            organization=organization,
            channel=Channel.SMS,
            address=phone,
            reason=SuppressionReason.UNSUBSCRIBE,
            detail=f"Answered {Answer.STOP} to {reply.recipient[:40]}.",
        )
    return len(organizations)


def _start(account: Account, phone: str) -> int:
    ids = _served(account).values_list("id", flat=True)
    return sum(lift_unsubscription(organization_id=id_, channel=Channel.SMS, address=phone) for id_ in ids)


def _served(account: Account) -> QuerySet[Organization]:
    """The organizations that send through an account: those with an SMS account of their own use that alone."""
    rows = Organization.objects.order_by("id")
    if account.organization_id is not None:
        return rows.filter(id=account.organization_id)
    own = ProviderAccount.objects.filter(channel=Channel.SMS, is_active=True, organization__isnull=False)
    return rows.exclude(id__in=own.values("organization_id"))


def _meant(account: Account, index: str) -> QuerySet[Organization]:
    if account.organization_id is not None:
        return _served(account)
    texted = _texted(account, index)
    if texted:
        return Organization.objects.filter(id__in=texted).order_by("id")
    members = Membership.objects.filter(user__phone_index=index, is_active=True)
    return _served(account).filter(id__in=members.values("organization_id"))


def _texted(account: Account, index: str) -> set[uuid.UUID]:
    """Who has lately texted this number through the account."""
    since = current_time() - RECENTLY
    sent = Delivery.objects.filter(channel=Channel.SMS, sent_at__gte=since, account=account.key).values_list(
        "organization_id", flat=True
    )
    bare = sent.filter(address_index=index)
    people = sent.filter(Q(notification__user__phone_index=index))
    return {*bare.order_by().distinct(), *people.order_by().distinct()}
