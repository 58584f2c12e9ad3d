"""What a call to send leaves behind, and what it costs."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership, Organization, User
from castcomm.common.clock import now
from castcomm.common.crypto import blind_index
from notifications.models import Delivery, EventType, Inbox, Notification, NotificationRequest
from notifications.services import doorbell
from notifications.services.sending import SendResult, send_notification

from .conftest import states

Send = Callable[..., SendResult]
MakeUser = Callable[..., User]


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was rung for."""
    heard: list[tuple[Any, ...]] = []
    monkeypatch.setattr(doorbell, "_ring", lambda name, *_: heard.append((name,)))
    return heard


def test_one_call_writes_the_request_the_inbox_row_and_the_deliveries(
    send: Send, news: EventType, member: User
) -> None:
    result = send(member, data={"count": 3})
    request = NotificationRequest.objects.get(id=result.request_id)
    assert (request.event_type, request.data, request.recipient_count) == (news, {"count": 3}, 1)
    [sent] = result.notifications
    assert (sent.user_id, sent.recipient, result.duplicate) == (member.id, str(member.id), False)
    row = Notification.objects.get(id=sent.id)
    assert (row.title, row.body, row.action_url, row.inbox_seq) == (
        "News for Mem",
        "It says more here.",
        "/news",
        1,
    )
    assert states(notification=row) == {
        "in_app": ("delivered", "in_inbox"),
        "email": ("pending", "default"),
    }
    assert Inbox.objects.get(user=member).last_seq == 1


@pytest.mark.django_db(transaction=True)
def test_a_rollback_means_that_nothing_was_sent_and_nothing_rung(
    send: Send, news: EventType, member: User, rung: list[Any]
) -> None:
    with transaction.atomic():
        send(member)
        transaction.set_rollback(True)
    assert not NotificationRequest.objects.exists()
    assert not Notification.objects.exists()
    assert not Inbox.objects.filter(last_seq__gt=0).exists()
    assert rung == []


@pytest.mark.django_db(transaction=True)
def test_it_rings_after_the_commit_and_not_before(
    send: Send, news: EventType, member: User, rung: list[Any]
) -> None:
    with transaction.atomic():
        send(member)
        assert rung == []
    assert rung == [("email:normal",)]


@pytest.mark.django_db(transaction=True)
def test_a_catalog_that_was_rolled_back_sends_nothing(
    send: Send, news: EventType, member: User, make_event_type: Callable[..., EventType]
) -> None:
    """The snapshot that the transaction loaded must not outlive it, whatever changes next."""
    with transaction.atomic():
        phantom = make_event_type("phantom")
        send(member, event_type="phantom")
        transaction.set_rollback(True)
    news.name = "Renamed"
    news.save()
    with pytest.raises(Exception, match="no event type 'phantom'"):
        send(member, event_type="phantom")
    with pytest.raises(ObjectDoesNotExist):
        phantom.refresh_from_db()


def test_an_address_and_an_id_of_the_same_person_are_one(
    send: Send, news: EventType, member: User, mail: Any
) -> None:
    result = send(
        member, str(member.id), member.id, "Member@Example.com", {"email": member.email}, {"user": member.id}
    )
    assert [one.user_id for one in result.notifications] == [member.id]
    assert Delivery.objects.filter(channel="email").count() == 1


def test_the_same_bare_address_twice_is_one(send: Send, news: EventType) -> None:
    result = send("Someone@example.com", "someone@EXAMPLE.com ")
    assert [(one.recipient, one.user_id) for one in result.notifications] == [("someone@example.com", None)]


def test_a_bare_address_gets_the_mail_and_has_no_inbox(
    send: Send, news: EventType, organization: Organization
) -> None:
    result = send("someone@example.com", {"phone": "+1 202 555 0123"})
    first, second = (one.id for one in result.notifications)
    assert states(notification=first) == {
        "email": ("pending", "default"),
        "in_app": ("suppressed", "no_address"),
    }
    assert states(notification=second) == {
        "email": ("suppressed", "no_address"),
        "in_app": ("suppressed", "no_address"),
    }
    row = Notification.objects.get(id=first)
    assert (row.user, row.inbox_seq, row.address) == (None, None, "someone@example.com")
    delivery = Delivery.objects.get(notification=first, channel="email")
    assert delivery.address == "someone@example.com"
    assert delivery.address_index == blind_index("someone@example.com", kind="email")


def test_addresses_are_not_readable_in_the_database(send: Send, news: EventType) -> None:
    send("someone@example.com")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT address FROM notifications_delivery UNION ALL SELECT address FROM notifications_notification"
        )
        stored = [row[0] for row in cursor.fetchall() if row[0]]
    assert stored
    assert not any("someone" in one for one in stored)


def test_a_member_of_another_organization_is_a_bare_address(
    send: Send, news: EventType, make_user: MakeUser, other_organization: Organization
) -> None:
    stranger = make_user("stranger@example.com", organization=other_organization)
    [sent] = send(stranger.email).notifications
    assert sent.user_id is None


def test_recipients_come_back_in_the_order_given(
    send: Send, news: EventType, make_user: MakeUser, organization: Organization
) -> None:
    people = [make_user(organization=organization) for _ in range(4)]
    given = [people[2], "bare@example.com", people[0], people[3], people[1]]
    result = send(*given)
    assert [one.user_id for one in result.notifications] == [
        people[2].id, None, people[0].id, people[3].id, people[1].id,
    ]  # fmt: skip


def test_a_scheduled_send_waits_on_every_channel(send: Send, news: EventType, member: User) -> None:
    later = now() + dt.timedelta(hours=3)
    [sent] = send(member, scheduled_for=later.astimezone(dt.timezone(dt.timedelta(hours=5)))).notifications
    assert states(notification=sent.id) == {
        "email": ("deferred", "scheduled"),
        "in_app": ("deferred", "scheduled"),
    }
    assert set(Delivery.objects.values_list("due_at", flat=True)) == {later}
    assert Notification.objects.get().inbox_seq is None


def test_a_time_that_has_passed_is_now(send: Send, news: EventType, member: User) -> None:
    send(member, scheduled_for=now() - dt.timedelta(days=1))
    assert states()["email"] == ("pending", "default")


def test_content_given_with_the_call_needs_no_template(send: Send, member: User) -> None:
    [sent] = send(member, content={"title": "Hi {{ user.name }}", "body": "<b>Text</b>"}).notifications
    row = Notification.objects.select_related("event_type").get(id=sent.id)
    # Nothing is filled in: the text is the caller's.
    assert (row.title, row.body, row.event_type.key) == ("Hi {{ user.name }}", "<b>Text</b>", "direct")


def test_a_template_alone_is_sent_as_a_direct_message(send: Send, member: User, make_template: Any) -> None:
    make_template("hello")
    [sent] = send(member, template="hello").notifications
    assert Notification.objects.get(id=sent.id).event_type.key == "direct"


def test_the_priority_of_the_call_is_that_of_its_deliveries(
    send: Send, news: EventType, member: User
) -> None:
    send(member, priority="urgent")
    assert set(Delivery.objects.values_list("priority", flat=True)) == {0}


def test_the_call_may_make_it_critical(send: Send, news: EventType, member: User) -> None:
    send(member, critical=True)
    assert states()["email"] == ("pending", "critical")


def test_dates_look_the_same_in_the_inbox_and_in_the_mail(
    send: Send, member: User, make_template: Any, mail: Any, drain: Any
) -> None:
    make_template(
        "dated",
        subject="{{ when | date('%d.%m.%Y') }}",
        text="{{ when }}",
        in_app_title="{{ when | date('%d.%m.%Y') }}",
    )
    send(member, template="dated", data={"when": dt.datetime(2026, 5, 4, 3, 2, tzinfo=dt.UTC)})
    drain()
    assert Notification.objects.get().title == "04.05.2026"
    assert mail.arrived[0].message["Subject"] == "04.05.2026"


@pytest.mark.django_db(transaction=True)
def test_one_send_is_three_queries_at_most(send: Send, news: EventType, member: User) -> None:
    send(member)
    with CaptureQueriesContext(connection) as queries:
        send(member)
    assert len(queries) <= 3, [one["sql"][:80] for one in queries.captured_queries]


@pytest.mark.django_db(transaction=True)
def test_three_hundred_recipients_take_as_many_queries_as_one(
    send: Send, news: EventType, organization: Organization, member: User
) -> None:
    people = make_people(organization, 300)
    send(member)
    with CaptureQueriesContext(connection) as for_one:
        send(member)
    with CaptureQueriesContext(connection) as for_many:
        result = send(*[person.id for person in people])
    assert len(result.notifications) == 300
    assert len(for_many) == len(for_one)


def make_people(organization: Organization, count: int, prefix: str = "many") -> list[User]:
    """Members made quickly."""
    people = [
        User(
            email=f"{prefix}-{n}@example.com",
            email_index=blind_index(f"{prefix}-{n}@example.com", kind="email"),
            first_name=f"Number {n}",
        )
        for n in range(count)
    ]
    User.objects.bulk_create(people)
    Membership.objects.bulk_create(Membership(organization=organization, user=person) for person in people)
    return people


@pytest.mark.django_db(transaction=True)
def test_parallel_sends_to_overlapping_people_do_not_lock_each_other_out(
    news: EventType, organization: Organization
) -> None:
    people = make_people(organization, 12)
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def run(turn: int) -> None:
        try:
            start.wait(10)
            for _ in range(8):
                chosen = people[turn:] + people[:turn]
                if turn % 2:
                    chosen = chosen[::-1]
                send_notification(
                    organization=organization, recipients=[p.id for p in chosen], event_type="news"
                )
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(turn * 3,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    # Each inbox numbered everything once, without a gap.
    assert set(Inbox.objects.filter(organization=organization).values_list("last_seq", flat=True)) == {32}
    for person in people:
        numbers = (
            Notification.objects.filter(user=person).order_by("inbox_seq").values_list("inbox_seq", flat=True)
        )
        assert list(numbers) == list(range(1, 33))
