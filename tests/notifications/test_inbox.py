"""The inbox: every change has its number, without a gap, and replaying the changes gives the state."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.errors import InvalidInput, NotFound
from castcomm.common.ids import new_id
from castcomm.realtime import hub
from castcomm.realtime.topics import user_topic
from notifications import realtime, selectors
from notifications.models import EventType, Inbox, Notification
from notifications.services import inbox
from notifications.services.sending import SendResult, send_notification

Send = Callable[..., SendResult]
Frames = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> Frames:
    """What was shown on open pages: (topic, frame)."""
    shown: Frames = []
    monkeypatch.setattr(hub, "publish_many", shown.extend)
    return shown


@pytest.fixture
def rows(send: Send, news: EventType, member: User) -> list[uuid.UUID]:
    """Three rows in the member's inbox, oldest first."""
    return [send(member).notifications[0].id for _ in range(3)]


@pytest.fixture
def act(organization: Organization, member: User) -> Callable[..., dict[str, Any]]:
    def do(name: str, row: uuid.UUID) -> dict[str, Any]:
        return inbox.mark_one(organization=organization, user=member, notification_id=row, act=name)

    return do


def counts(organization: Organization, user: User) -> dict[str, int]:
    return selectors.inbox_counts(organization.id, user.id)


def test_counts_follow_what_the_person_does(
    rows: list[uuid.UUID], act: Any, organization: Organization, member: User
) -> None:
    assert counts(organization, member) == {"unread": 3, "unseen": 3, "inbox_seq": 3}
    assert inbox.mark_many(organization=organization, user=member, act="seen", ids=None) == 3
    assert counts(organization, member) == {"unread": 3, "unseen": 0, "inbox_seq": 6}
    act("read", rows[0])
    act("archive", rows[1])
    assert counts(organization, member) == {"unread": 1, "unseen": 0, "inbox_seq": 8}
    act("unread", rows[0])
    act("unarchive", rows[1])
    assert counts(organization, member) == {"unread": 3, "unseen": 0, "inbox_seq": 10}


def test_a_repeated_act_changes_and_numbers_nothing(rows: list[uuid.UUID], act: Any) -> None:
    first = act("read", rows[0])
    again = act("read", rows[0])
    assert first == again
    assert first["seq"] == 4


def test_reading_is_seeing_but_not_seeing_anew(rows: list[uuid.UUID], act: Any) -> None:
    seen_at = act("seen", rows[0])["seen_at"]
    read = act("read", rows[0])
    assert read["seen_at"] == seen_at
    assert read["read_at"] > seen_at
    assert act("read", rows[1])["seen_at"] is not None


def test_all_marks_all_but_the_archived(
    rows: list[uuid.UUID], act: Any, organization: Organization, member: User
) -> None:
    act("archive", rows[0])
    assert inbox.mark_many(organization=organization, user=member, act="read", ids=None) == 2
    assert Notification.objects.get(id=rows[0]).read_at is None


def test_a_foreign_row_is_not_there(
    rows: list[uuid.UUID],
    organization: Organization,
    owner: User,
    member: User,
    other_organization: Organization,
) -> None:
    for who, where in ((owner, organization), (member, other_organization)):
        with pytest.raises(NotFound):
            inbox.mark_one(organization=where, user=who, notification_id=rows[0], act="read")
        with pytest.raises(InvalidInput) as caught:
            inbox.mark_many(organization=where, user=who, act="read", ids=[rows[0]])
        assert caught.value.attr == "ids.0"


def test_one_foreign_id_changes_none(rows: list[uuid.UUID], organization: Organization, member: User) -> None:
    with pytest.raises(InvalidInput) as caught:
        inbox.mark_many(organization=organization, user=member, act="read", ids=[rows[0], new_id()])
    assert caught.value.attr == "ids.1"
    assert not Notification.objects.exclude(read_at=None).exists()


def test_replaying_the_changes_gives_the_state(
    rows: list[uuid.UUID], act: Any, organization: Organization, member: User
) -> None:
    state: dict[str, dict[str, Any]] = {}
    at = 0
    steps = [
        ("seen", 0),
        ("read", 1),
        ("archive", 0),
        ("unread", 1),
        ("read", 2),
        ("unarchive", 0),
        ("archive", 2),
    ]
    for position, (name, row) in enumerate(steps):
        act(name, rows[row])
        if position % 2 == 0:
            continue  # the client was away
        changes, head, complete = selectors.inbox_changes(organization.id, member.id, at)
        assert complete
        assert [one["seq"] for one in changes] == sorted(one["seq"] for one in changes)
        state |= {one["id"]: one for one in changes}
        at = head
    changes, head, _ = selectors.inbox_changes(organization.id, member.id, at)
    state |= {one["id"]: one for one in changes}
    fresh = {
        one["id"]: one for one in map(selectors.row_json, selectors.inbox_rows(organization.id, member.id))
    }
    assert state == fresh
    assert head == selectors.inbox_seq(organization.id, member.id)


def test_who_missed_too_much_is_told(
    rows: list[uuid.UUID], organization: Organization, member: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr(selectors, "REPLAY_LIMIT", 2)
    assert selectors.inbox_changes(organization.id, member.id, 0) == ([], 3, False)
    assert len(selectors.inbox_changes(organization.id, member.id, 1)[0]) == 2


def test_the_topic_is_its_owners_alone(
    organization: Organization, member: User, owner: User, rows: list[uuid.UUID]
) -> None:
    topic = realtime.INBOX_TOPIC
    key = f"{organization.id}:{member.id}"
    assert topic.authorize(member.id, organization.id, key)
    assert not topic.authorize(owner.id, organization.id, key)
    assert not topic.authorize(member.id, new_id(), key)
    replay = topic.replay(member.id, organization.id, key, 1)
    assert [frame["seq"] for frame in replay.events] == [2, 3]
    assert (replay.head, replay.recovered) == (3, True)
    assert realtime.greeting(member.id, organization.id) == {"inbox_seq": 3}


@pytest.mark.django_db(transaction=True)
def test_a_new_row_is_shown_after_the_commit_only(
    send: Send, news: EventType, member: User, organization: Organization, frames: Frames
) -> None:
    with transaction.atomic():
        [sent] = send(member, data={"a": 1}).notifications
        assert frames == []
    [(topic, frame)] = frames
    assert topic == user_topic(member.id, organization.id)
    assert (frame["event"], frame["seq"]) == ("notification", 1)
    # The frame is what a reload would show.
    assert frame["data"] == selectors.row_json(
        selectors.inbox_rows(organization.id, member.id).get(id=sent.id)
    )


@pytest.mark.django_db(transaction=True)
def test_an_act_is_shown_on_the_persons_other_pages(rows: list[uuid.UUID], act: Any, frames: Frames) -> None:
    frames.clear()
    row = act("read", rows[1])
    assert [(frame["seq"], frame["data"]) for _, frame in frames] == [(4, row)]
    frames.clear()
    act("read", rows[1])
    assert frames == []


@pytest.mark.django_db(transaction=True)
def test_a_rollback_shows_nothing(rows: list[uuid.UUID], act: Any, frames: Frames) -> None:
    frames.clear()
    with transaction.atomic():
        act("read", rows[0])
        transaction.set_rollback(True)
    assert frames == []


@pytest.mark.django_db(transaction=True)
def test_numbers_have_no_gap_however_much_happens_at_once(
    rows: list[uuid.UUID], organization: Organization, member: User
) -> None:
    def work(turn: int) -> None:
        for _ in range(5):
            send_notification(organization=organization, recipients=[member.id], event_type="news")
            act = ("read", "unread", "seen", "archive")[turn]
            inbox.mark_many(organization=organization, user=member, act=act, ids=None)
        connection.close()

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    numbers = list(Notification.objects.filter(user=member).values_list("inbox_seq", flat=True))
    assert len(numbers) == len(set(numbers)) == 23
    assert max(numbers) <= Inbox.objects.get(user=member).last_seq
    changes, head, _ = selectors.inbox_changes(organization.id, member.id, 0)
    assert len(changes) == 23
    assert head == max(numbers)


def test_paging_through_the_inbox_shows_each_row_once(
    send: Send, news: EventType, member: User, api_client: Callable[..., APIClient]
) -> None:
    sent = [str(send(member).notifications[0].id) for _ in range(7)]
    client = api_client(member)
    seen: list[str] = []
    address = "/api/v1/notifications?limit=3"
    while address:
        page = client.get(address).json()
        seen += [row["id"] for row in page["results"]]
        address = page["next"] or ""
    assert seen == sent[::-1]
