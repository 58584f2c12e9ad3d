"""Who may send what, when several workers are at it: claims, leases, attempts that were cut short."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import Delivery, DeliveryAttempt, EventType
from notifications.services import dispatch, doorbell, outbox
from notifications.services.sending import send_notification
from notifications.vocabulary import DeliveryStatus, Outcome, Reason

from .conftest import states
from .smtp_server import SmtpServer
from .test_dispatch import NORMAL, Drain, Send, the_mail
from .test_sending import make_people


def test_a_flood_leaves_room_for_the_others(
    organization: Organization,
    other_organization: Organization,
    make_event_type: Any,
    make_user: Any,
    settings: Any,
) -> None:
    settings.NOTIFICATION_BATCH_SIZE = 10
    make_event_type("news")
    make_event_type("news", organization=other_organization)
    send_notification(
        organization=organization, recipients=[f"flood-{n}@example.com" for n in range(40)], event_type="news"
    )
    send_notification(organization=other_organization, recipients=["one@example.com"], event_type="news")
    _, claimed = outbox.claim("email", NORMAL, now=now(), limit=10)
    owners = list(Delivery.objects.filter(id__in=claimed).values_list("organization_id", flat=True))
    assert owners.count(other_organization.id) == 1
    assert owners.count(organization.id) == 5


def test_who_only_waits_for_later_takes_no_share(
    organization: Organization, other_organization: Organization, make_event_type: Any
) -> None:
    make_event_type("news")
    make_event_type("news", organization=other_organization)
    send_notification(
        organization=other_organization,
        recipients=["one@example.com"],
        event_type="news",
        scheduled_for=now() + dt.timedelta(hours=1),
    )
    send_notification(
        organization=organization, recipients=[f"p-{n}@example.com" for n in range(10)], event_type="news"
    )
    _, claimed = outbox.claim("email", NORMAL, now=now(), limit=10)
    assert len(claimed) == 10


def test_a_priority_and_a_channel_are_claimed_apart(send: Send, news: EventType, member: User) -> None:
    send(member, priority="urgent")
    send(member, priority="low")
    assert outbox.claim("email", NORMAL, now=now(), limit=10)[1] == []
    assert outbox.claim("sms", 0, now=now(), limit=10)[1] == []
    assert len(outbox.claim("email", 0, now=now(), limit=10)[1]) == 1
    assert outbox.due_pairs(["email", "in_app"], now=now()) == [("email", 3)]


def test_the_oldest_goes_first(send: Send, news: EventType) -> None:
    send(*[f"p-{n}@example.com" for n in range(5)])
    oldest = Delivery.objects.filter(channel="email").last()
    assert oldest is not None
    Delivery.objects.filter(id=oldest.id).update(due_at=F("due_at") - dt.timedelta(minutes=1))
    assert outbox.claim("email", NORMAL, now=now(), limit=1)[1] == [oldest.id]


@pytest.mark.django_db(transaction=True)
def test_workers_in_parallel_send_nothing_twice(
    news: EventType, organization: Organization, mail: SmtpServer, settings: Any
) -> None:
    settings.NOTIFICATION_BATCH_SIZE = 25
    people = make_people(organization, 200)
    send_notification(organization=organization, recipients=people, event_type="news")
    handled: list[int] = []

    def run() -> None:
        handled.append(dispatch.drain("email", NORMAL))
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(handled) == 200
    assert len(mail.deliveries) == len(set(mail.deliveries)) == 200
    assert DeliveryAttempt.objects.count() == 200
    assert set(Delivery.objects.filter(channel="email").values_list("status", flat=True)) == {"sent"}


def expire_leases() -> None:
    Delivery.objects.filter(status="sending").update(lease_until=now() - dt.timedelta(seconds=1))


def test_a_claim_whose_worker_died_before_it_began_is_due_again(
    send: Send, news: EventType, member: User, mail: SmtpServer, drain: Drain
) -> None:
    send(member)
    outbox.claim("email", NORMAL, now=now(), limit=10)
    assert outbox.rescue(now=now()) == []  # the lease still runs
    assert drain() == 0
    expire_leases()
    assert [one.status for one in outbox.rescue(now=now())] == ["pending"]
    assert states()["email"] == ("pending", "default")
    drain()
    assert states()["email"] == ("sent", "accepted")


@pytest.mark.parametrize(("duplicates", "state"), [(False, "unknown"), (True, "pending")])
def test_an_attempt_that_was_cut_short_is_not_guessed_at(
    duplicates: bool, state: str, send: Send, make_event_type: Any, member: User
) -> None:
    make_event_type("code", duplicates_allowed=duplicates)
    send(member, event_type="code")
    lease, claimed = outbox.claim("email", NORMAL, now=now(), limit=10)
    outbox.start(lease, outbox.Beginning(claimed, [1], "smtp"), now=now())
    expire_leases()
    assert [one.status for one in outbox.rescue(now=now())] == [state]
    delivery = the_mail()
    assert (delivery.status, delivery.reason, delivery.attempt_count) == (state, "worker_lost", 1)
    assert delivery.attempts.get().outcome == "unknown"


def test_a_slow_worker_still_knows_best(send: Send, news: EventType, member: User) -> None:
    """Its lease ran out while the server took its time; then the server answered."""
    send(member)
    lease, claimed = outbox.claim("email", NORMAL, now=now(), limit=10)
    beginning = outbox.Beginning(claimed, [1], "smtp")
    outbox.start(lease, beginning, now=now())
    expire_leases()
    outbox.rescue(now=now())
    late = outbox.Settled(
        claimed[0], the_mail().organization_id, DeliveryStatus.SENT, Reason.ACCEPTED, 1,
        attempt_id=beginning.ids[0], outcome=Outcome.SENT,
    )  # fmt: skip
    outbox.settle(lease, [late], now=now())
    assert states()["email"] == ("sent", "accepted")


def test_what_was_moved_meanwhile_is_not_sent(send: Send, news: EventType, member: User) -> None:
    """A receipt tells of an earlier try while a worker holds the delivery for another one."""
    send(member)
    lease, claimed = outbox.claim("email", NORMAL, now=now(), limit=10)
    Delivery.objects.filter(id=claimed[0]).update(status="delivered")
    beginning = outbox.Beginning(claimed, [1], "smtp")
    outbox.start(lease, beginning, now=now())
    assert beginning.begun == set()
    outbox.settle(lease, [outbox.Settled(claimed[0], the_mail().organization_id, DeliveryStatus.PENDING,
                                         Reason.RETRYING, 0)], now=now(), then=beginning)  # fmt: skip
    assert beginning.begun == set()
    assert the_mail().status == "delivered"
    assert not DeliveryAttempt.objects.exists()


def test_who_lost_the_lease_changes_nothing(send: Send, news: EventType, member: User) -> None:
    send(member)
    lease, claimed = outbox.claim("email", NORMAL, now=now(), limit=10)
    expire_leases()
    outbox.rescue(now=now())
    outbox.claim("email", NORMAL, now=now(), limit=10)
    late = outbox.Settled(claimed[0], the_mail().organization_id, DeliveryStatus.FAILED, Reason.EXPIRED, 0)
    outbox.settle(lease, [late], now=now())
    assert the_mail().status == "sending"
    assert outbox.extend(lease, claimed, now=now()) == set()


def test_the_sweep_takes_back_and_rings(
    send: Send, news: EventType, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(member)
    send(member, priority="urgent")
    outbox.claim("email", 0, now=now(), limit=10)
    expire_leases()
    rung: list[tuple[str, int]] = []
    monkeypatch.setattr(doorbell, "ring", lambda channel, priority: rung.append((channel, priority)))
    assert dispatch.sweep() == 2
    assert sorted(rung) == [("email", 0), ("email", 2)]
