"""A broadcast reaches everybody in its groups once, whoever joins, leaves, dies or pauses on the way."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import Membership, Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import Conflict, InvalidInput, NotFound
from notifications.models import (
    Broadcast,
    Delivery,
    EventType,
    ListMember,
    Notification,
    NotificationRequest,
    RecipientList,
    Topic,
    TopicSubscription,
)
from notifications.services import fanout, ledger
from notifications.services.audiences import broadcasts, parts
from notifications.services.audiences.steering import (
    cancel_broadcast,
    pause_broadcast,
    progress_of,
    resume_broadcast,
)

from ..conftest import states
from ..test_fanout import run_workers
from ..test_sending import make_people

MakeTopic = Callable[..., Topic]
MakeList = Callable[..., RecipientList]
Publish = Callable[..., Broadcast]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of seven, so that thirty people are several."""
    monkeypatch.setattr(broadcasts, "PART", 7)


def reached() -> list[Any]:
    """The users and bare addresses that have a notification, one entry each."""
    rows = Notification.objects.select_related("user")
    return sorted(row.user.email if row.user else row.address for row in rows)


def test_everybody_in_several_groups_gets_it_once(
    publish: Publish, make_topic: MakeTopic, make_list: MakeList, people: list[User], small_parts: None,
    organization: Organization, staff: User,
) -> None:  # fmt: skip
    outsider = User.objects.create_user("outsider@example.com")
    make_topic(people=[*people[:20], outsider])
    make_list(
        people=people[10:], addresses=["bare@example.com", people[3].email, "+12025550123", "b2@example.com"]
    )
    broadcast = publish(
        {"topic": "weekly"}, {"list": "press"}, {"role": "staff"}, {"topic": "weekly"},
        people[0], people[5].email.upper(), "bare@example.com", "third@example.com",
    )  # fmt: skip
    assert (broadcast.request.status, broadcast.total, broadcast.request.recipient_count) == (
        "fanning_out",
        35,
        39,
    )
    assert not Notification.objects.exists()
    fanout.run()
    expected = [one.email for one in (*people, staff)]
    assert reached() == sorted(
        [*expected, "bare@example.com", "b2@example.com", "third@example.com", "+12025550123"]
    )
    broadcast.refresh_from_db()
    # Written besides by the call's own recipients: four at the most, whoever came first.
    assert (broadcast.phase, broadcast.request.status) == ("finished", "done")
    assert 30 <= broadcast.written <= 34
    assert progress_of(broadcast).percent == 100
    assert not fanout.is_waiting()


def test_a_whole_organization_and_no_other(
    publish: Publish, people: list[User], small_parts: None, other_organization: Organization
) -> None:
    make_people(other_organization, 3, prefix="other")
    publish({"organization": True}, {"role": "member"})
    fanout.run()
    assert reached() == sorted(one.email for one in people)


def test_who_joins_later_gets_nothing_and_who_leaves_neither(
    publish: Publish, make_topic: MakeTopic, make_list: MakeList, people: list[User], small_parts: None,
    organization: Organization,
) -> None:  # fmt: skip
    topic, press = make_topic(people=people), make_list(addresses=["early@example.com"])
    publish({"topic": "weekly"}, {"list": "press"})
    assert broadcasts.run_next()
    late = make_people(organization, 2, prefix="late")
    TopicSubscription.objects.bulk_create(TopicSubscription(topic=topic, user=one) for one in late)
    ListMember.objects.create(list=press, address="late@example.com", address_index="x" * 32)
    in_order = sorted(people, key=lambda one: one.id)
    TopicSubscription.objects.filter(topic=topic, user=in_order[-1]).delete()
    Membership.objects.filter(user=in_order[-2]).update(is_active=False)
    User.objects.filter(id=in_order[-3].id).update(is_active=False)
    fanout.run()
    assert reached() == sorted([*(one.email for one in in_order[:-3]), "early@example.com"])


@pytest.mark.parametrize(
    ("recipients", "attr"),
    [
        ([{"topic": "nothing"}], "recipients.0"),
        ([{"role": "staff"}, {"list": "nothing"}], "recipients.0"),
        (["a@example.com", {"role": "wizard"}], "recipients.1"),
        ([{"role": "owner"}], "recipients.0"),
        ([{"topic": 7}], "recipients.0"),
        ([{"topic": "weekly", "role": "member"}], "recipients.0"),
        ([{"organization": "yes"}], "recipients.0"),
        ([{"organization": True}, "nobody"], "recipients.1"),
        ([{"organization": True}, {"user": "x"}], "recipients.1"),
        ([{"topic": f"topic-{n}"} for n in range(21)], "recipients.20"),
        ([{"topic": "foreign"}], "recipients.0"),
    ],
)
def test_a_wrong_group_is_named_and_nothing_is_accepted(
    publish: Publish, make_topic: MakeTopic, other_organization: Organization, people: list[User],
    recipients: list[Any], attr: str,
) -> None:  # fmt: skip
    make_topic("foreign", organization=other_organization)
    with pytest.raises(InvalidInput) as caught:
        publish(*recipients)
    assert caught.value.attr == attr
    assert not NotificationRequest.objects.exists()


def test_the_same_key_broadcasts_once_and_an_empty_topic_is_done_at_once(
    publish: Publish, make_topic: MakeTopic
) -> None:
    make_topic()
    first = publish({"topic": "weekly"}, idempotency_key="once")
    assert publish({"topic": "weekly"}, idempotency_key="once") == first
    fanout.run()
    first.refresh_from_db()
    assert (first.request.status, first.written, progress_of(first).percent) == ("done", 0, 100)


def test_a_pause_stops_within_a_part_and_what_waits_goes_on_afterwards(
    publish: Publish, people: list[User], small_parts: None, organization: Organization, staff: User
) -> None:
    broadcast = publish({"role": "member"}, "named@example.com")
    broadcasts.run_next()
    sending = Delivery.objects.filter(channel="email").first()
    assert sending is not None
    Delivery.objects.filter(id=sending.id).update(status="sending")
    assert pause_broadcast(organization=organization, broadcast_id=broadcast.id, by=staff.id) == 6
    assert (fanout.is_waiting(), fanout.run(), Notification.objects.count()) == (False, 0, 7)
    assert set(Delivery.objects.filter(channel="email").values_list("status", "reason")) == {
        ("paused", "paused"), ("sending", "default"),
    }  # fmt: skip
    with pytest.raises(Conflict):
        pause_broadcast(organization=organization, broadcast_id=broadcast.id)
    later = Delivery.objects.filter(status="paused").first()
    assert later is not None
    Delivery.objects.filter(id=later.id).update(due_at=now().replace(year=2040))
    assert resume_broadcast(organization=organization, broadcast_id=broadcast.id) == 6
    assert states(id=later.id) == {"email": ("deferred", "default")}
    fanout.run()
    broadcast.refresh_from_db()
    assert (broadcast.request.status, Notification.objects.count(), broadcast.paused_by) == ("done", 31, None)
    with pytest.raises(Conflict):
        resume_broadcast(organization=organization, broadcast_id=broadcast.id)


def test_what_is_written_and_waits_can_be_paused_and_cancelled_too(
    publish: Publish, people: list[User], small_parts: None, organization: Organization,
    other_organization: Organization,
) -> None:  # fmt: skip
    broadcast = publish({"role": "member"})
    fanout.run()
    with pytest.raises(NotFound):
        pause_broadcast(organization=other_organization, broadcast_id=broadcast.id)
    assert pause_broadcast(organization=organization, broadcast_id=broadcast.id) == 30
    assert resume_broadcast(organization=organization, broadcast_id=broadcast.id) == 30
    broadcast.refresh_from_db()
    assert broadcast.request.status == "done"
    Delivery.objects.filter(channel="email").update(status="sent")
    with pytest.raises(Conflict) as caught:
        pause_broadcast(organization=organization, broadcast_id=broadcast.id)
    assert caught.value.code == "too_late"


def test_a_cancel_in_the_middle_counts_what_it_stopped(
    publish: Publish, people: list[User], small_parts: None, organization: Organization
) -> None:
    broadcast = publish({"role": "member"}, "named@example.com")
    broadcasts.run_next()
    broadcasts.run_next()
    sent = Delivery.objects.filter(channel="email")[:4]
    Delivery.objects.filter(id__in=[one.id for one in sent]).update(status="sent")
    pause_broadcast(organization=organization, broadcast_id=broadcast.id)
    assert cancel_broadcast(organization=organization, broadcast_id=broadcast.id) == 10
    assert (fanout.run(), Notification.objects.count()) == (0, 14)
    broadcast.refresh_from_db()
    progress = progress_of(broadcast)
    assert (broadcast.request.status, progress.deliveries["email"]) == (
        "cancelled",
        {"cancelled": 10, "sent": 4},
    )
    for act in (pause_broadcast, resume_broadcast, cancel_broadcast):
        with pytest.raises(Conflict):
            act(organization=organization, broadcast_id=broadcast.id)


def test_no_more_is_written_than_can_be_sent(
    publish: Publish, people: list[User], small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "ENOUGH_WAITING", 10)
    broadcast = publish({"role": "member"})
    fanout.run()
    assert Notification.objects.count() == 14
    assert not fanout.is_waiting()  # for a moment
    # What waits for a limit per minute is due soon, and counts.
    Delivery.objects.filter(channel="email").update(status="deferred", due_at=now() + dt.timedelta(minutes=1))
    Broadcast.objects.update(lease_until=None)
    fanout.run()
    assert Notification.objects.count() == 14
    Delivery.objects.filter(channel="email").update(status="sent")
    Broadcast.objects.update(lease_until=None)
    fanout.run()
    assert Notification.objects.count() == 28
    # What is due much later holds nothing up, and neither does the inbox.
    Delivery.objects.filter(channel="email").update(status="deferred", due_at=now().replace(year=2040))
    Broadcast.objects.update(lease_until=None)
    fanout.run()
    broadcast.refresh_from_db()
    assert (Notification.objects.count(), broadcast.request.status) == (30, "done")


def test_a_part_that_fails_waits_and_is_given_up_in_the_end(
    publish: Publish, people: list[User], small_parts: None, organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    broadcast = publish({"role": "member"})
    broadcasts.run_next()

    def fail(*_: Any) -> None:
        raise RuntimeError("this part does not work")

    monkeypatch.setattr(ledger, "write_notifications", fail)
    fanout.run()
    assert (fanout.is_waiting(), Notification.objects.count()) == (False, 7)
    Broadcast.objects.update(lease_until=None, tries=parts.MAX_TRIES - 1)
    fanout.run()
    broadcast.refresh_from_db()
    assert (broadcast.request.status, broadcast.written) == ("incomplete", 7)
    monkeypatch.undo()
    monkeypatch.setattr(broadcasts, "PART", 7)
    resume_broadcast(organization=organization, broadcast_id=broadcast.id)
    fanout.run()
    broadcast.refresh_from_db()
    assert (broadcast.request.status, Notification.objects.count()) == ("done", 30)


def test_a_large_one_lets_small_and_urgent_ones_pass(
    publish: Publish, make_topic: MakeTopic, people: list[User], small_parts: None, organization: Organization
) -> None:
    make_topic(people=people[:2])
    large = publish({"role": "member"})
    for _ in range(2):
        broadcasts.run_next()
    small = publish({"topic": "weekly"})
    urgent = publish({"topic": "weekly"}, priority="urgent")
    for expected in (urgent, urgent, small):
        broadcasts.run_next()
        expected.refresh_from_db()
        assert expected.written == 2
    large.refresh_from_db()
    assert large.written == 14
    Organization.objects.filter(id=organization.id).update(is_active=False)
    fanout.run()
    assert set(NotificationRequest.objects.values_list("status", flat=True)) == {"done", "cancelled"}
    assert Notification.objects.count() == 18


@pytest.mark.django_db(transaction=True)
def test_workers_in_parallel_and_one_that_dies_reach_each_person_once(
    publish: Publish, people: list[User], small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that dies has written its part and not committed it."""
    broadcast = publish({"role": "member"}, *people[:9])
    with monkeypatch.context() as patch:
        patch.setattr(Broadcast, "save", _die)
        with pytest.raises(SystemExit):
            broadcasts.run_next()
    assert Notification.objects.count() == 0
    run_workers(3)
    broadcast.refresh_from_db()
    assert reached() == sorted(one.email for one in people)
    assert broadcast.request.status == "done"


@pytest.mark.django_db(transaction=True)
def test_killed_workers_miss_nobody_and_write_nothing_twice(
    publish: Publish, organization: Organization, small_parts: None
) -> None:
    people = make_people(organization, 300)
    broadcast = publish({"role": "member"})
    for written in (20, 90, 160):
        worker = os.fork()
        if worker == 0:
            _work_until_killed()
        wait_until(lambda enough=written: Notification.objects.count() >= enough)
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)

    def is_done() -> bool:
        fanout.run()  # nothing, as long as the database holds what the dead had locked
        broadcast.request.refresh_from_db()
        return broadcast.request.status == "done"

    wait_until(is_done)
    assert reached() == sorted(one.email for one in people)


def _work_until_killed() -> None:
    """In a process of its own, with a connection of its own."""
    connection.connection = None
    try:
        fanout.run()
        time.sleep(60)
    finally:
        os._exit(1)


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, "what was waited for did not come"
        time.sleep(0.005)


def _die(*_: Any, **__: Any) -> None:
    raise SystemExit


def test_tags_buttons_and_local_times_reach_the_last_one(
    publish: Publish, people: list[User], small_parts: None, news: EventType
) -> None:
    news.tags = ["all"]
    news.save()
    actions = [{"key": "open", "label": "Open", "url": "https://example.com/x", "style": "primary"}]
    publish(
        {"role": "member"}, event_type="news", tags=["spring", "all"], scheduled_local="2027-03-01T09:00",
        content={"title": "Hi", "body": "You", "actions": actions},
    )  # fmt: skip
    fanout.run()
    last = Notification.objects.order_by("-id").first()
    assert last is not None
    assert (last.tags, last.actions) == (["all", "spring"], actions)
    assert {one.reason for one in last.deliveries.all()} == {"local_time"}
