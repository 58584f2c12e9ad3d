"""Large audiences are accepted at once and written by workers, each person once."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import Membership, Organization, User
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from notifications.models import EventType, FanoutChunk, Notification, NotificationRequest
from notifications.services import dispatch, doorbell, fanout, ledger
from notifications.services.audiences import parts
from notifications.services.deliveries import cancel_request
from notifications.services.sending import SendResult

from .test_sending import make_people

Send = Callable[..., SendResult]


CHUNKS = 1 + -(-(1_100 - fanout.FIRST_CHUNK) // fanout.CHUNK)


@pytest.fixture
def audience(organization: Organization) -> list[User]:
    return make_people(organization, 1_100)


def the_request() -> NotificationRequest:
    return NotificationRequest.objects.get()


def test_it_is_accepted_in_chunks_and_then_written(send: Send, news: EventType, audience: list[User]) -> None:
    result = send(*audience)
    assert (result.recipient_count, result.notifications) == (1_100, [])
    assert (the_request().status, FanoutChunk.objects.count(), Notification.objects.count()) == (
        "fanning_out",
        CHUNKS,
        0,
    )
    assert fanout.run() == CHUNKS
    assert (the_request().status, FanoutChunk.objects.count()) == ("done", 0)
    assert Notification.objects.values("user").distinct().count() == Notification.objects.count() == 1_100
    assert fanout.run() == 0


def test_who_leaves_in_between_gets_nothing(send: Send, news: EventType, audience: list[User]) -> None:
    send(*audience)
    left = audience[0], audience[700]
    Membership.objects.filter(user__in=left).update(is_active=False)
    fanout.run()
    assert Notification.objects.count() == 1_098
    assert not Notification.objects.filter(user__in=left).exists()


def test_an_id_and_an_address_far_apart_are_one_person(
    send: Send, news: EventType, audience: list[User]
) -> None:
    send(audience[0], *audience[1:], audience[0].email.upper(), str(audience[0].id))
    fanout.run()
    assert Notification.objects.filter(user=audience[0]).count() == 1
    assert Notification.objects.count() == 1_100


def test_one_unknown_id_refuses_them_all(send: Send, news: EventType, audience: list[User]) -> None:
    with pytest.raises(InvalidInput) as caught:
        send(*audience, new_id())
    assert caught.value.attr == "recipients.1100"
    assert not NotificationRequest.objects.exists()


def test_what_was_given_with_the_call_reaches_the_last_one(send: Send, audience: list[User]) -> None:
    send(*audience, content={"title": "Hi", "body": "All of you"}, channels=["in_app"], priority="low")
    fanout.run()
    last = Notification.objects.get(user=audience[-1])
    assert (last.title, last.body, last.priority) == ("Hi", "All of you", 3)
    assert [one.channel for one in last.deliveries.all()] == ["in_app"]


def test_a_cancelled_audience_is_not_written(
    send: Send, news: EventType, audience: list[User], organization: Organization
) -> None:
    result = send(*audience)
    cancel_request(organization=organization, request_id=result.request_id)
    assert fanout.run() == 0
    assert (the_request().status, Notification.objects.count()) == ("cancelled", 0)


def test_the_sweep_rings_for_chunks_that_nobody_was_told_of(
    send: Send, news: EventType, audience: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(doorbell, "ring_fanout", lambda: rung.append("fanout"))
    dispatch.sweep()
    assert rung == []
    send(*audience)
    dispatch.sweep()
    assert rung == ["fanout"]


def test_a_chunk_that_fails_stops_no_other(
    send: Send, news: EventType, audience: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    send(*audience)
    send(*[f"bare-{n}@example.com" for n in range(501)])
    poisoned = FanoutChunk.objects.order_by("created_at", "position").first()
    assert poisoned is not None
    write = ledger.write_notifications

    def fail_for_one(message: Any, planned: Any) -> None:
        if planned[0].person.user_id == audience[0].id:
            raise RuntimeError("this chunk does not work")
        write(message, planned)

    monkeypatch.setattr(ledger, "write_notifications", fail_for_one)
    monkeypatch.setattr(parts, "TRY_AGAIN", dt.timedelta(hours=1))
    fanout.run()
    assert list(FanoutChunk.objects.values_list("id", flat=True)) == [poisoned.id]
    assert not fanout.is_waiting()  # not before its pause is over
    monkeypatch.undo()
    FanoutChunk.objects.update(lease_until=None)
    fanout.run()
    assert Notification.objects.count() == 1_100 + 501


def test_a_chunk_that_always_fails_is_given_up_and_said(
    send: Send, news: EventType, audience: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    send(*audience)
    write = ledger.write_notifications

    def fail_for_one(message: Any, planned: Any) -> None:
        if planned[0].person.user_id == audience[0].id:
            raise RuntimeError("this chunk does not work")
        write(message, planned)

    monkeypatch.setattr(ledger, "write_notifications", fail_for_one)
    for _ in range(parts.MAX_TRIES):
        assert the_request().status == "fanning_out"
        FanoutChunk.objects.update(lease_until=None)
        fanout.run()
    FanoutChunk.objects.update(lease_until=None)
    assert (the_request().status, fanout.is_waiting(), fanout.run()) == ("incomplete", False, 0)
    assert Notification.objects.count() == 1_100 - fanout.FIRST_CHUNK
    assert FanoutChunk.objects.get().tries == parts.MAX_TRIES


def test_an_organization_that_was_switched_off_reaches_nobody(
    send: Send, news: EventType, audience: list[User], organization: Organization
) -> None:
    send(*audience)
    Organization.objects.filter(id=organization.id).update(is_active=False)
    fanout.run()
    assert (the_request().status, FanoutChunk.objects.count()) == ("cancelled", 0)
    assert not Notification.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_within_a_chunk_leaves_it_whole(
    send: Send, news: EventType, audience: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    send(*audience)

    def die(_chunk: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(FanoutChunk, "delete", die)
    with pytest.raises(SystemExit):
        fanout.run()
    assert (FanoutChunk.objects.count(), Notification.objects.count()) == (CHUNKS, 0)
    monkeypatch.undo()
    fanout.run()
    assert Notification.objects.count() == 1_100


@pytest.mark.django_db(transaction=True)
def test_workers_in_parallel_reach_each_person_once_and_know_the_end(
    send: Send, news: EventType, audience: list[User]
) -> None:
    """The same people by id and by address, so that they stand in different chunks."""
    send(*audience, *[person.email for person in audience])
    run_workers(3)
    assert Notification.objects.count() == 1_100
    assert the_request().status == "done"


def run_workers(count: int) -> None:
    """Workers side by side, and then one more for what they left to each other."""
    threads = [threading.Thread(target=_run_and_close) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    fanout.run()


def _run_and_close() -> None:
    fanout.run()
    connection.close()
