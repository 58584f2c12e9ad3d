"""Putting aside, buttons, tags, marking by filter, and the numbers on the badges."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common import events
from castcomm.common.clock import now
from castcomm.common.ids import new_id
from notifications import selectors
from notifications.events import InboxActed
from notifications.models import EventType, Notification
from notifications.services import inbox
from notifications.services.inbox_actions import mark_action
from notifications.services.sending import SendResult
from notifications.services.snoozing import preset_moment

Send = Callable[..., SendResult]
API = "/api/v1/notifications"
BUTTONS = [
    {"key": "accept", "label": "Accept", "url": "", "style": "primary"},
    {"key": "view", "label": "View", "url": "/offers/1", "style": "secondary"},
]


@pytest.fixture
def client(api_client: Callable[..., APIClient], member: User) -> APIClient:
    return api_client(member)


@pytest.fixture
def rows(send: Send, news: EventType, member: User) -> list[uuid.UUID]:
    """Three rows in the member's inbox, oldest first."""
    return [send(member).notifications[0].id for _ in range(3)]


@pytest.fixture
def with_buttons(rows: list[uuid.UUID]) -> uuid.UUID:
    Notification.objects.filter(id=rows[0]).update(actions=BUTTONS)
    return rows[0]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[InboxActed]:
    heard: list[InboxActed] = []
    monkeypatch.setitem(events._handlers, InboxActed, [heard.append])
    return heard


def ids(client: APIClient, query: str = "") -> list[str]:
    return [row["id"] for row in client.get(API + query).json()["results"]]


def tag(row: uuid.UUID, *tags: str) -> None:
    Notification.objects.filter(id=row).update(tags=list(tags))


def in_future(**delta: float) -> str:
    return (now() + dt.timedelta(**delta)).isoformat()


def unread(client: APIClient) -> int:
    return int(client.get(API + "/count").json()["unread"])


def test_what_is_put_aside_leaves_the_inbox_and_the_count(client: APIClient, rows: list[uuid.UUID]) -> None:
    first, second, third = map(str, rows)
    answer = client.post(f"{API}/{first}/snooze", {"until": in_future(hours=2)})
    assert answer.status_code == 200
    assert answer.json()["snoozed_until"] > now().isoformat()
    assert (ids(client), ids(client, "/unread"), unread(client)) == ([third, second], [third, second], 2)
    assert ids(client, "?snoozed=true") == [first]
    assert ids(client, "/history") == [third, second, first]

    back = client.post(f"{API}/{first}/unsnooze").json()
    assert (back["snoozed_until"], back["read_at"]) == (None, None)
    assert (ids(client), unread(client)) == ([third, second, first], 3)


def test_what_was_put_aside_is_back_when_its_time_has_come(client: APIClient, rows: list[uuid.UUID]) -> None:
    client.post(f"{API}/{rows[2]}/snooze", {"preset": "tomorrow"})
    assert len(ids(client)) == 2
    Notification.objects.filter(id=rows[2]).update(snoozed_until=now() - dt.timedelta(seconds=1))
    assert len(ids(client)) == unread(client) == 3
    assert ids(client, "?snoozed=true") == []


def test_each_change_of_the_moment_is_numbered_and_a_repeated_one_is_not(
    client: APIClient, rows: list[uuid.UUID]
) -> None:
    until = in_future(days=3)
    first = client.post(f"{API}/{rows[0]}/snooze", {"until": until}).json()
    assert client.post(f"{API}/{rows[0]}/snooze", {"until": until}).json() == first
    later = client.post(f"{API}/{rows[0]}/snooze", {"until": in_future(days=5)}).json()
    assert (first["seq"], later["seq"]) == (4, 5)
    assert later["snoozed_until"] > first["snoozed_until"]
    assert client.post(f"{API}/{rows[1]}/unsnooze").json()["seq"] == 2


def test_what_is_archived_stays_archived(client: APIClient, rows: list[uuid.UUID]) -> None:
    client.post(f"{API}/{rows[0]}/archive")
    row = client.post(f"{API}/{rows[0]}/snooze", {"preset": "tomorrow"}).json()
    assert row["snoozed_until"] is None
    # Archived while it was put aside: it is in the archive.
    client.post(f"{API}/{rows[1]}/snooze", {"preset": "tomorrow"})
    client.post(f"{API}/{rows[1]}/archive")
    assert ids(client, "?archived=true") == [str(rows[1]), str(rows[0])]


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "until"),
        ({"until": "soon"}, "until"),
        ({"until": ""}, "until"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"until": "9999-12-31T23:59:59-10:00"}, "until"),
        ({"until": (now() + dt.timedelta(days=3)).replace(tzinfo=None).isoformat()}, "until"),
        ({"until": in_future(days=367)}, "until"),
        ({"until": in_future(days=1), "preset": "tomorrow"}, "until"),
        ({"preset": "never"}, "preset"),
        ({"preset": "tomorrow", "zone": "UTC"}, "zone"),
    ],
)
def test_a_wrong_moment_is_named_and_changes_nothing(
    body: dict[str, Any], attr: str, client: APIClient, rows: list[uuid.UUID]
) -> None:
    answer = client.post(f"{API}/{rows[0]}/snooze", body)
    assert answer.status_code == 400
    assert {error["attr"] for error in answer.json()["errors"]} == {attr}
    assert not Notification.objects.exclude(snoozed_until=None).exists()


def test_a_day_less_than_the_limit_is_accepted(client: APIClient, rows: list[uuid.UUID]) -> None:
    assert client.post(f"{API}/{rows[0]}/snooze", {"until": in_future(days=365)}).status_code == 200


@pytest.mark.parametrize(
    ("preset", "here", "expected"),
    [
        ("later_today", "2026-07-01T10:00", "2026-07-01T13:00"),  # a Wednesday
        ("later_today", "2026-07-01T16:00", "2026-07-01T18:00"),
        ("later_today", "2026-07-01T17:30", "2026-07-01T20:30"),
        ("later_today", "2026-07-01T23:00", "2026-07-02T02:00"),
        ("tomorrow", "2026-07-01T00:30", "2026-07-02T09:00"),
        ("tomorrow", "2026-12-31T23:59", "2027-01-01T09:00"),
        ("weekend", "2026-07-01T10:00", "2026-07-04T09:00"),
        ("weekend", "2026-07-04T08:59", "2026-07-04T09:00"),
        ("weekend", "2026-07-04T09:00", "2026-07-11T09:00"),
        ("weekend", "2026-07-05T10:00", "2026-07-11T09:00"),
        ("next_week", "2026-07-01T10:00", "2026-07-06T09:00"),
        ("next_week", "2026-07-06T08:00", "2026-07-13T09:00"),
        ("next_week", "2026-03-28T12:00", "2026-03-30T09:00"),  # the clocks change on Sunday
    ],
)
def test_presets_are_in_the_persons_own_time(preset: str, here: str, expected: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    moment = dt.datetime.fromisoformat(here).replace(tzinfo=zone).astimezone(dt.UTC)
    found = preset_moment(preset, zone="Europe/Berlin", now=moment)
    assert found.astimezone(zone).isoformat()[:16] == expected


def test_an_unknown_zone_is_taken_for_utc() -> None:
    moment = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
    expected = dt.datetime(2026, 7, 2, 9, tzinfo=dt.UTC)
    assert preset_moment("tomorrow", zone="Nowhere/At_All", now=moment) == expected


def test_a_button_is_used_and_taken_back(client: APIClient, with_buttons: uuid.UUID) -> None:
    place = f"{API}/{with_buttons}/actions"
    row = client.post(f"{place}/accept/done").json()
    accept, view = row["actions"]
    assert (accept["label"], accept["style"], view["done_at"]) == ("Accept", "primary", None)
    assert accept["done_at"] == row["read_at"]
    assert client.post(f"{place}/accept/done").json() == row
    both = client.post(f"{place}/view/done").json()
    assert [action["done_at"] is not None for action in both["actions"]] == [True, True]

    client.post(f"{place}/accept/undone")
    left = client.post(f"{place}/accept/undone").json()
    assert [action["done_at"] is not None for action in left["actions"]] == [False, True]
    assert left["seq"] == both["seq"] + 1
    client.post(f"{place}/view/undone")
    assert Notification.objects.get(id=with_buttons).actions_done is None


def test_a_button_or_a_row_that_is_not_there(
    client: APIClient, with_buttons: uuid.UUID, rows: list[uuid.UUID], api_client: Any, owner: User
) -> None:
    for row, key in ((with_buttons, "other"), (rows[1], "accept"), (new_id(), "accept")):
        for turn in ("done", "undone"):
            assert client.post(f"{API}/{row}/actions/{key}/{turn}").status_code == 404
    other = api_client(owner)
    assert other.post(f"{API}/{with_buttons}/actions/accept/done").status_code == 404
    assert other.post(f"{API}/{with_buttons}/snooze", {"preset": "tomorrow"}).status_code == 404
    assert other.post(f"{API}/{with_buttons}/unsnooze").status_code == 404
    assert Notification.objects.get(id=with_buttons).actions_done is None


def test_what_has_expired_is_not_there(client: APIClient, with_buttons: uuid.UUID) -> None:
    Notification.objects.filter(id=with_buttons).update(expires_at=now() - dt.timedelta(seconds=1))
    assert client.post(f"{API}/{with_buttons}/actions/accept/done").status_code == 404
    assert client.post(f"{API}/{with_buttons}/snooze", {"preset": "tomorrow"}).status_code == 404


def test_tags_filter_lists_and_numbers(
    client: APIClient, rows: list[uuid.UUID], send: Send, make_event_type: Any, member: User
) -> None:
    first, second, third = map(str, rows)
    tag(rows[0], "billing", "urgent")
    tag(rows[1], "billing")
    make_event_type("shift", category="work")
    fourth = str(send(member, event_type="shift").notifications[0].id)
    assert ids(client, "?tag=billing") == [second, first]
    assert ids(client, "?tag=urgent") == ids(client, "/unread?tag=urgent") == [first]
    assert ids(client, "?tag=bill") == ids(client, "?tag=billing&category=work") == []
    assert ids(client, "?category=work") == [fourth]
    client.post(f"{API}/{second}/seen")
    counts = client.get(API + "/count?by=category,tag").json()
    assert counts["by_tag"] == {
        "billing": {"unread": 2, "unseen": 1},
        "urgent": {"unread": 1, "unseen": 1},
    }
    assert counts["by_category"] == {
        "general": {"unread": 3, "unseen": 2},
        "work": {"unread": 1, "unseen": 1},
    }
    assert (counts["unread"], counts["unseen"]) == (4, 3)
    client.post(f"{API}/{first}/snooze", {"preset": "tomorrow"})
    client.post(f"{API}/{second}/read")
    counts = client.get(API + "/count?by=tag").json()
    assert counts["by_tag"] == {}
    assert "by_category" not in counts
    assert third in ids(client)
    assert client.get(API + "/count?by=colour").json()["errors"][0]["attr"] == "by"


def test_counting_is_one_statement_over_the_index_alone(
    rows: list[uuid.UUID], organization: Organization, member: User
) -> None:
    with CaptureQueriesContext(connection) as queries:
        selectors.inbox_counts(organization.id, member.id)
    assert len(queries) == 1
    # Among many that were read, it is plain which index is the shortest way.
    one = Notification.objects.get(id=rows[0])
    kept = {field.attname: getattr(one, field.attname) for field in Notification._meta.concrete_fields}
    Notification.objects.bulk_create(
        Notification(**{**kept, "id": new_id(), "inbox_seq": 1_000 + number, "read_at": now()})
        for number in range(1_000)
    )
    values = {"organization": organization.id, "user": member.id, "now": now()}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notifications_notification")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("EXPLAIN " + selectors._COUNTS, values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Only Scan using notification_unread" in plan


def test_all_of_a_tag_or_a_category_are_marked_and_nothing_else(
    client: APIClient, rows: list[uuid.UUID], news: EventType
) -> None:
    tag(rows[0], "billing")
    tag(rows[1], "billing")

    def mark(**body: Any) -> int:
        return int(client.post(API + "/mark", body).json()["changed"])

    assert mark(act="read", all=True, tag="billing") == 2
    assert mark(act="read", all=True, tag="billing") == 0
    assert unread(client) == 1
    assert mark(act="read", all=True, category="other") == 0
    assert mark(act="archive", all=True, tag="billing", category="general") == 2
    assert ids(client) == [str(rows[2])]
    assert mark(act="unarchive", all=True, tag="billing") == 2
    assert mark(act="snooze", ids=[str(rows[0]), str(rows[2])], preset="next_week") == 2
    # What is put aside is not seen, so "all" does not mean it.
    assert mark(act="read", all=True) == 0
    assert Notification.objects.get(id=rows[2]).read_at is None
    assert mark(act="unsnooze", all=True) == 2
    assert mark(act="unread", ids=[str(rows[1])]) == 1
    assert mark(act="seen", all=True) == 0


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"all": True}, "act"),
        ({"act": "burn", "all": True}, "act"),
        ({"act": "read"}, "ids"),
        ({"act": "read", "ids": [], "all": True}, "ids"),
        ({"act": "read", "ids": [], "tag": "x"}, "tag"),
        ({"act": "read", "all": True, "until": in_future(days=1)}, "until"),
        ({"act": "snooze", "all": True}, "until"),
        ({"act": "snooze", "all": True, "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"act": "read", "ids": [str(new_id())]}, "ids.0"),
        ({"act": "read", "all": True, "colour": "red"}, "colour"),
    ],
)
def test_a_wrong_mark_is_named_and_changes_nothing(
    body: dict[str, Any], attr: str, client: APIClient, rows: list[uuid.UUID]
) -> None:
    answer = client.post(API + "/mark", body, format="json")
    assert answer.status_code == 400
    assert {error["attr"] for error in answer.json()["errors"]} == {attr}
    assert unread(client) == 3


def test_marking_takes_as_many_queries_for_many_rows_as_for_one(
    client: APIClient, rows: list[uuid.UUID]
) -> None:
    def ask(**body: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.post(API + "/mark", body, format="json").status_code == 200
        return len(queries)

    ask(act="archive", all=True)
    ask(act="unarchive", all=True)
    few = ask(act="read", ids=[str(rows[0])])
    ask(act="unread", all=True)
    assert ask(act="read", ids=[str(row) for row in rows]) == few


def test_pages_over_rows_of_one_moment_show_each_row_once(
    client: APIClient, send: Send, member: User
) -> None:
    sent = {
        str(send(member, content={"title": "x"}, event_type=None, channels=["in_app"]).notifications[0].id)
        for _ in range(8)
    }
    Notification.objects.update(created_at=now())
    seen: list[str] = []
    address = API + "?limit=3"
    while address:
        page = client.get(address).json()
        seen += [row["id"] for row in page["results"]]
        address = page["next"] or ""
    assert sorted(seen) == sorted(sent)


def test_a_wrong_query_is_named(client: APIClient) -> None:
    assert client.get(API + "?snoozed=perhaps").json()["errors"][0]["attr"] == "snoozed"
    assert client.get(API + "?tag=%00").status_code == 400


def test_what_a_person_attends_to_is_told_once(
    told: list[InboxActed],
    with_buttons: uuid.UUID,
    rows: list[uuid.UUID],
    organization: Organization,
    member: User,
) -> None:
    who: dict[str, Any] = {"organization": organization, "user": member}
    for _ in range(2):
        mark_action(**who, notification_id=with_buttons, key="accept", done=True)
    inbox.mark_many(**who, act="seen", ids=None)
    inbox.mark_many(**who, act="read", ids=None)
    inbox.mark_many(**who, act="snooze", ids=[rows[1]], preset="tomorrow")
    acts = [(one.act, one.action_key, one.notification_ids) for one in told]
    assert acts == [
        ("action", "accept", (with_buttons,)),
        ("read", "", (rows[1], rows[2])),
        ("snooze", "", (rows[1],)),
    ]
    assert {(one.organization_id, one.user_id) for one in told} == {(organization.id, member.id)}


@pytest.mark.django_db(transaction=True)
def test_two_tabs_that_do_and_undo_at_once_leave_numbers_without_a_gap(
    with_buttons: uuid.UUID, organization: Organization, member: User
) -> None:
    who: dict[str, Any] = {"organization": organization, "user": member}
    failures: list[Exception] = []

    def tab(key: str, act: str, back: str) -> None:
        try:
            for _ in range(10):
                mark_action(**who, notification_id=with_buttons, key=key, done=True)
                preset = {"preset": "tomorrow"} if act == "snooze" else {}
                inbox.mark_many(**who, act=act, ids=[with_buttons], **preset)
                inbox.mark_many(**who, act=back, ids=[with_buttons])
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    tabs = [
        threading.Thread(target=tab, args=given)
        for given in (("accept", "read", "unread"), ("view", "snooze", "unsnooze"))
    ]
    for thread in tabs:
        thread.start()
    for thread in tabs:
        thread.join(60)
    assert failures == []
    row = Notification.objects.get(id=with_buttons)
    # Neither tab has lost what the other did.
    assert set(row.actions_done or {}) == {"accept", "view"}
    assert row.snoozed_until is None
    assert row.inbox_seq == selectors.inbox_seq(organization.id, member.id)
