"""A notification appears on an open page without a reload: a real server, a real socket, real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Organization, User
from notifications import selectors
from notifications.models import EventType
from notifications.services import inbox
from notifications.services.sending import SendResult
from tests.messaging.live_server import LiveServer, Socket

pytestmark = pytest.mark.django_db(transaction=True)
Send = Callable[..., SendResult]


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any) -> Iterator[LiveServer]:
    server = LiveServer()
    yield server
    server.stop()


@pytest.fixture
def page(server: LiveServer, member: User) -> Iterator[Socket]:
    """The member's open page."""
    socket = server.open_socket(member)
    yield socket
    socket.close()


def test_a_notification_appears_on_an_open_page(
    page: Socket, send: Send, news: EventType, member: User, organization: Organization, owner: User
) -> None:
    assert page.greeting["inbox_seq"] == 0
    with transaction.atomic():
        send(member)
        assert page.quiet("notification")
    frame = page.expect("notification")
    row = selectors.row_json(selectors.inbox_rows(organization.id, member.id).get())
    assert (frame["seq"], frame["data"]) == (1, row)
    send(owner)
    assert page.quiet("notification")


def test_what_one_page_does_another_shows(
    page: Socket, server: LiveServer, send: Send, news: EventType, member: User, organization: Organization
) -> None:
    [sent] = send(member).notifications
    page.expect("notification")
    inbox.mark_one(organization=organization, user=member, notification_id=sent.id, act="read")
    frame = page.expect("notification")
    assert (frame["seq"], frame["data"]["id"]) == (2, str(sent.id))
    assert frame["data"]["read_at"] is not None


def test_who_was_away_gets_what_was_missed(
    server: LiveServer, send: Send, news: EventType, member: User, organization: Organization
) -> None:
    for _ in range(3):
        send(member)
    socket = server.open_socket(member)
    assert socket.greeting["inbox_seq"] == 3
    answer = socket.ask("subscribe", topic=f"user:{organization.id}:{member.id}", since_seq=1)["data"]
    assert answer["recovered"] is True
    assert [frame["seq"] for frame in answer["events"]] == [2, 3]
    socket.close()


def test_nobody_listens_to_anothers_inbox(page: Socket, organization: Organization, owner: User) -> None:
    answer = page.ask("subscribe", topic=f"user:{organization.id}:{owner.id}")
    assert answer["event"] == "error"
