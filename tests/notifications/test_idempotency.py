"""A key sends once, for ever, however many calls come with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import Organization, User
from notifications.models import EventType, Notification, NotificationRequest
from notifications.services.sending import SendResult, send_notification

Send = Callable[..., SendResult]


def test_the_second_call_gets_the_first_result(send: Send, news: EventType, member: User) -> None:
    first = send(member, "bare@example.com", idempotency_key="order-1")
    again = send(member, "bare@example.com", idempotency_key="order-1")
    assert (first.duplicate, again.duplicate) == (False, True)
    assert again.request_id == first.request_id
    assert {(n.id, n.recipient) for n in again.notifications} == {
        (n.id, n.recipient) for n in first.notifications
    }
    assert Notification.objects.count() == 2


def test_without_a_key_every_call_sends(send: Send, news: EventType, member: User) -> None:
    assert send(member).request_id != send(member).request_id


def test_keys_of_two_organizations_do_not_meet(
    send: Send,
    news: EventType,
    member: User,
    other_organization: Organization,
    make_user: Any,
    make_event_type: Any,
) -> None:
    make_event_type("news", organization=other_organization)
    stranger = make_user(organization=other_organization)
    send(member, idempotency_key="k")
    assert not send(stranger, organization=other_organization, idempotency_key="k").duplicate


def test_a_large_audience_is_accepted_once(send: Send, news: EventType) -> None:
    audience = [f"person-{n}@example.com" for n in range(501)]
    first = send(*audience, idempotency_key="large")
    again = send(*audience, idempotency_key="large")
    assert (again.request_id, again.duplicate, again.recipient_count) == (first.request_id, True, 501)


@pytest.mark.django_db(transaction=True)
def test_calls_in_parallel_send_once(news: EventType, organization: Organization, member: User) -> None:
    results: list[SendResult] = []
    start = threading.Barrier(6)

    def run() -> None:
        start.wait(10)
        results.append(
            send_notification(
                organization=organization, recipients=[member.id], event_type="news", idempotency_key="once"
            )
        )
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(one.duplicate for one in results) == [False] + [True] * 5
    assert {one.request_id for one in results} == {NotificationRequest.objects.get().id}
    assert {one.notifications[0].id for one in results} == {Notification.objects.get().id}


@pytest.mark.django_db(transaction=True)
def test_a_key_whose_call_was_rolled_back_is_free(
    news: EventType, organization: Organization, send: Send, member: User
) -> None:
    with transaction.atomic():
        send(member, idempotency_key="k")
        transaction.set_rollback(True)
    assert not send(member, idempotency_key="k").duplicate
