"""Calls that lock the same rows in another order end well."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import Organization, User
from notifications.api import sending_views
from notifications.models import EventType, Notification
from notifications.services import deliveries
from notifications.services.deliveries import cancel_notification, cancel_request
from notifications.services.sending import SendResult

Send = Callable[..., SendResult]
pytestmark = pytest.mark.django_db(transaction=True)


def side_by_side(*jobs: Callable[[], Any]) -> list[Any]:
    """What each job gives, each run in its own thread with its own connection."""

    def run(job: Callable[[], Any]) -> Any:
        try:
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result(30) for future in [pool.submit(run, job) for job in jobs]]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "once"}], ids=["plain", "with a key"])
def test_two_bulks_for_the_same_people_in_another_order(
    api_client: Callable[..., APIClient], make_api_key: Any, organization: Organization, news: EventType,
    member: User, staff: User, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str],
) -> None:  # fmt: skip
    _, plain = make_api_key(organization, "notifications:send")
    meeting = threading.Barrier(2)
    send = sending_views.send_notification
    met = threading.local()

    def send_and_meet(**fields: Any) -> SendResult:
        result = send(**fields)
        if not getattr(met, "once", False):
            met.once = True
            meeting.wait(10)
        return result

    monkeypatch.setattr(sending_views, "send_notification", send_and_meet)

    def post(people: list[User]) -> int:
        sends = [
            {"event_type": "news", "recipients": [str(one.id)], "channels": ["in_app"]} for one in people
        ]
        named = {name: f"{value}-{people[0].id}" for name, value in headers.items()}
        return int(
            api_client(plain)
            .post("/api/v1/notifications/bulk", {"notifications": sends}, headers=named)
            .status_code
        )

    assert side_by_side(lambda: post([member, staff]), lambda: post([staff, member])) == [202, 202]
    assert Notification.objects.count() == 4


def test_a_request_and_one_of_its_notifications_are_cancelled_at_once(
    send: Send, news: EventType, member: User, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = send(member)
    locked, going = threading.Event(), threading.Event()
    cancel_deliveries = deliveries._cancel_deliveries

    def wait_first(notification: Notification) -> Any:
        locked.set()
        going.wait(1.0)  # time for the other one to take what it takes first
        return cancel_deliveries(notification)

    monkeypatch.setattr(deliveries, "_cancel_deliveries", wait_first)

    def cancel_all() -> int:
        locked.wait(10)
        return cancel_request(organization=organization, request_id=result.request_id)

    [one, _] = side_by_side(
        lambda: cancel_notification(organization=organization, notification_id=result.notifications[0].id),
        cancel_all,
    )
    assert one.stopped == ["email"]
