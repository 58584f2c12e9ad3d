"""From the outbox to the provider: nothing twice, nothing lost, nothing guessed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection

from accounts.models import Membership, Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import Conflict
from notifications.checks import check_carriers
from notifications.models import Delivery, EventType, Notification, Suppression
from notifications.services.deliveries import (
    requeue,
    resolve_unknown,
    retry_notification,
)
from notifications.services.retrying import backoff
from notifications.services.sending import SendResult
from notifications.services.suppressions import suppress_address

from .conftest import states
from .smtp_server import SmtpServer

Send = Callable[..., SendResult]
Drain = Callable[..., int]
NORMAL = 2


def the_mail() -> Delivery:
    found: Delivery = Delivery.objects.get(channel="email")
    return found


def test_a_mail_goes_out_and_its_attempt_is_kept(
    send: Send, news: EventType, member: User, mail: SmtpServer, drain: Drain
) -> None:
    send(member)
    assert drain() == 1
    delivery = the_mail()
    assert (delivery.status, delivery.reason, delivery.attempt_count) == ("sent", "accepted", 1)
    assert delivery.sent_at is not None
    assert delivery.lease_token is None
    assert delivery.template_version is not None
    attempt = delivery.attempts.get()
    assert (attempt.number, attempt.outcome, attempt.provider) == (1, "sent", "smtp")
    assert delivery.provider_message_id == attempt.provider_message_id
    [arrived] = mail.arrived
    assert (arrived.recipients, arrived.delivery) == ([member.email], str(delivery.id))
    assert arrived.message["Subject"] == "Hello Mem"
    assert drain() == 0


def test_a_bare_address_is_read_back_from_its_encryption(
    send: Send, news: EventType, mail: SmtpServer, drain: Drain
) -> None:
    send("someone@example.com")
    drain()
    assert mail.arrived[0].recipients == ["someone@example.com"]


@pytest.mark.parametrize(
    ("answer", "status", "reason", "outcome"),
    [
        ({"RCPT": "550 No such user"}, "failed", "refused", "permanent"),
        ({"RCPT": "450 Later"}, "pending", "retrying", "not_sent"),
        ({"DATA": "399 What"}, "unknown", "ambiguous", "unknown"),
    ],
)
def test_each_outcome_has_its_state(
    answer: dict[str, str], status: str, reason: str, outcome: str,
    send: Send, news: EventType, member: User, mail: SmtpServer, drain: Drain,
) -> None:  # fmt: skip
    mail.at |= answer
    send(member)
    drain()
    delivery = the_mail()
    assert (delivery.status, delivery.reason) == (status, reason)
    assert delivery.attempts.get().outcome == outcome
    assert next(iter(answer.values()))[:3] in delivery.error


def test_what_may_come_twice_is_tried_again_when_nobody_knows(
    send: Send,
    make_event_type: Any,
    member: User,
    mail: SmtpServer,
    drain: Drain,
    due_now: Callable[[], None],
) -> None:
    make_event_type("code", duplicates_allowed=True)
    mail.at["DATA"] = "399 What"
    send(member, event_type="code")
    drain()
    assert states()["email"] == ("pending", "retrying")
    mail.at.clear()
    due_now()
    drain()
    assert states()["email"] == ("sent", "accepted")


def test_it_is_tried_again_later_and_later_until_it_is_dead(
    send: Send, news: EventType, member: User, mail: SmtpServer, drain: Drain, due_now: Any, settings: Any
) -> None:
    settings.EMAIL_MAX_RETRIES = 3
    mail.at["RCPT"] = "450 Later"
    send(member)
    for attempt in (1, 2):
        due_now()
        drain()
        delivery = the_mail()
        assert (delivery.status, delivery.attempt_count, delivery.settled_at) == ("pending", attempt, None)
    due_now()
    drain()
    delivery = the_mail()
    assert (delivery.status, delivery.reason, delivery.attempt_count) == ("dead", "exhausted", 3)
    assert delivery.settled_at is not None
    assert list(delivery.attempts.values_list("number", flat=True)) == [1, 2, 3]


def test_a_dead_letter_gets_fresh_attempts(
    send: Send,
    news: EventType,
    member: User,
    mail: SmtpServer,
    drain: Drain,
    organization: Organization,
    settings: Any,
) -> None:
    settings.EMAIL_MAX_RETRIES = 1
    mail.at["RCPT"] = "450 Later"
    [sent] = send(member).notifications
    drain()
    assert states()["email"] == ("dead", "exhausted")
    settings.EMAIL_MAX_RETRIES = 2
    assert retry_notification(organization=organization, notification_id=sent.id) == ["email"]
    drain()
    assert states()["email"] == ("pending", "retrying")
    assert the_mail().attempt_count == 2
    with pytest.raises(Conflict):
        retry_notification(organization=organization, notification_id=sent.id)


def test_the_pause_grows_is_spread_and_heeds_the_provider(settings: Any) -> None:
    settings.EMAIL_RETRY_DELAY, settings.EMAIL_RETRY_MAX_DELAY = 1_000, 60_000
    for attempt, ceiling in ((1, 1), (2, 4), (3, 16), (10, 60), (10_000, 60)):
        pauses = [backoff(attempt, None).total_seconds() for _ in range(50)]
        assert ceiling / 2 <= min(pauses) <= max(pauses) <= ceiling
        assert len(set(pauses)) > 10
    assert backoff(1, 120.0) == dt.timedelta(seconds=120)


def test_a_mail_server_may_be_away_for_hours(settings: Any) -> None:
    tries = range(1, settings.EMAIL_MAX_RETRIES)
    assert sum((backoff(attempt, None) for attempt in tries), dt.timedelta()) > dt.timedelta(hours=4)


def test_what_expired_is_not_sent(
    send: Send, make_event_type: Any, member: User, mail: SmtpServer, drain: Drain
) -> None:
    make_event_type("brief", expires_after=dt.timedelta(minutes=5))
    send(member, event_type="brief")
    Notification.objects.update(expires_at=now() - dt.timedelta(seconds=1))
    drain()
    assert states()["email"] == ("failed", "expired")
    assert mail.arrived == []


def test_who_was_suppressed_meanwhile_gets_nothing(
    send: Send, news: EventType, member: User, organization: Organization, mail: SmtpServer, drain: Drain
) -> None:
    send(member, "bare@example.com")
    for address in (member.email, "bare@example.com"):
        suppress_address(organization=organization, channel="email", address=address)
    drain()
    assert set(Delivery.objects.filter(channel="email").values_list("status", "reason")) == {
        ("suppressed", "suppression")
    }
    assert mail.arrived == []


def test_a_suppression_that_ran_out_holds_nothing_back(
    send: Send, news: EventType, member: User, organization: Organization, mail: SmtpServer, drain: Drain
) -> None:
    suppress_address(
        organization=organization, channel="email", address=member.email, expires_at=now() + dt.timedelta(1)
    )
    Suppression.objects.update(expires_at=now() - dt.timedelta(1))
    send(member)
    drain()
    assert len(mail.arrived) == 1


@pytest.mark.parametrize("leaves", ["membership", "person"])
def test_who_has_left_meanwhile_gets_nothing(
    leaves: str, send: Send, news: EventType, member: User, mail: SmtpServer, drain: Drain
) -> None:
    send(member)
    if leaves == "membership":
        Membership.objects.filter(user=member).update(is_active=False)
    else:
        User.objects.filter(id=member.id).update(is_active=False)
    drain()
    assert states()["email"] == ("suppressed", "recipient_inactive")
    assert mail.arrived == []


def test_one_row_that_cannot_be_read_stops_no_other(
    send: Send, news: EventType, mail: SmtpServer, drain: Drain
) -> None:
    """Such as an address under a key that was lost: it is tried again, its neighbours arrive."""
    send("first@example.com", "second@example.com")
    broken = Delivery.objects.filter(channel="email").first()
    assert broken is not None
    with connection.cursor() as cursor:
        cursor.execute("UPDATE notifications_delivery SET address = 'nonsense' WHERE id = %s", [broken.id])
    drain()
    assert len(mail.arrived) == 1
    row = Delivery.objects.defer("address").get(id=broken.id)
    assert (row.status, row.reason, "DecryptionFailed" in row.error) == ("pending", "retrying", True)


def test_what_a_server_says_cannot_keep_its_answer_from_being_stored(
    send: Send, news: EventType, member: User, mail: SmtpServer, drain: Drain
) -> None:
    mail.at["RCPT"] = "550 a\x00b"
    send(member)
    drain()
    assert states()["email"] == ("failed", "refused")


def test_an_organization_that_was_switched_off_sends_nothing(
    send: Send, news: EventType, member: User, mail: SmtpServer, drain: Drain, due_now: Any,
    organization: Organization,
) -> None:  # fmt: skip
    send(member)
    later = send(member, scheduled_for=now() + dt.timedelta(hours=1)).notifications[0]
    type(organization).objects.filter(id=organization.id).update(is_active=False)
    due_now()
    drain()
    drain("in_app")
    assert mail.arrived == []
    off = ("suppressed", "org_inactive")
    assert states(notification=later.id) == {"email": off, "in_app": off}
    assert Delivery.objects.filter(channel="email", reason="org_inactive").count() == 2
    assert Notification.objects.get(id=later.id).inbox_seq is None


def test_staff_say_what_became_of_the_unknown(
    send: Send, news: EventType, member: User, mail: SmtpServer, drain: Drain
) -> None:
    mail.at["DATA"] = "399 What"
    send(member, "other@example.com")
    drain()
    first, second = Delivery.objects.filter(channel="email", status="unknown")
    mail.at.clear()
    assert resolve_unknown([first.id], sent=True, by="staff") == [(first.id, "email")]
    assert resolve_unknown([second.id], sent=False, by="staff") == [(second.id, "email")]
    drain()
    assert [one.delivery for one in mail.arrived] == [str(second.id)]
    assert set(Delivery.objects.filter(channel="email").values_list("status", flat=True)) == {"sent"}
    first.refresh_from_db()
    assert first.decision["resolved"]["by"] == "staff"
    assert requeue([first.id]) == []


def test_a_deferred_inbox_row_appears_when_it_is_due(
    send: Send, news: EventType, member: User, drain: Drain, due_now: Callable[[], None]
) -> None:
    send(member, scheduled_for=now() + dt.timedelta(hours=1))
    send(member, scheduled_for=now() + dt.timedelta(hours=1))
    due_now()
    drain("in_app")
    assert states()["in_app"] == ("delivered", "in_inbox")
    numbers = Notification.objects.order_by("id").values_list("inbox_seq", flat=True)
    assert list(numbers) == [1, 2]


def test_a_deferred_inbox_row_that_was_cancelled_or_expired_does_not(
    send: Send, news: EventType, member: User, drain: Drain, due_now: Callable[[], None]
) -> None:
    first, second = (
        send(member, scheduled_for=now() + dt.timedelta(hours=1)).notifications[0] for _ in range(2)
    )
    Notification.objects.filter(id=first.id).update(cancelled_at=now())
    Notification.objects.filter(id=second.id).update(expires_at=now() - dt.timedelta(1))
    due_now()
    drain("in_app")
    assert states(notification=first.id)["in_app"] == ("cancelled", "cancelled")
    assert states(notification=second.id)["in_app"] == ("failed", "expired")
    assert not Notification.objects.exclude(inbox_seq=None).exists()


def test_without_a_provider_nothing_counts_as_sent(
    send: Send, make_event_type: Any, drain: Drain, settings: Any
) -> None:
    assert not settings.DEBUG
    make_event_type("text", channels=["sms"])
    send({"phone": "+12025550124"}, event_type="text")
    drain("sms")
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason, delivery.error) == (
        "failed", "refused", "No SMS provider is configured.",
    )  # fmt: skip
    told = {one.id for one in run_checks(include_deployment_checks=True)}
    assert "castcomm.I023" in told
    settings.DEBUG = True
    assert check_carriers(None) == []


def test_sms_and_push_go_through_their_providers(
    send: Send, make_event_type: Any, make_user: Any, organization: Organization, drain: Drain, settings: Any
) -> None:
    settings.DEBUG = True
    make_event_type("text", channels=["sms"])
    person = make_user(organization=organization, phone="+12025550123")
    send(person, {"phone": "+12025550124"}, event_type="text")
    drain("sms")
    assert set(Delivery.objects.values_list("status", "provider")) == {("sent", "console")}
