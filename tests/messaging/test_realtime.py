"""Conversations over real sockets to a real server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from messaging.models import Message, Thread
from messaging.services.participants import add_participants, remove_participant
from tests.messaging.conftest import make_member, make_organization, open_thread, say
from tests.messaging.live_server import LiveServer, Socket
from tests.messaging.replica import fresh

pytestmark = pytest.mark.django_db(transaction=True)

Open = Callable[[User], Socket]


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any) -> Iterator[LiveServer]:
    server = LiveServer()
    yield server
    server.stop()


@pytest.fixture
def open_socket(server: LiveServer) -> Iterator[Open]:
    sockets: list[Socket] = []

    def open_it(user: User) -> Socket:
        sockets.append(server.open_socket(user))
        return sockets[-1]

    yield open_it
    for socket in sockets:
        socket.close()


@pytest.fixture
def people() -> list[User]:
    organization = make_organization()
    return [make_member(organization, name) for name in ("ada", "ben", "cleo")]


@pytest.fixture
def thread(people: list[User]) -> Thread:
    ada, ben, _ = people
    membership = ada.memberships.get()
    return open_thread(membership.organization, ada, ben, kind="direct")


def test_two_people_chat_over_sockets_and_see_it_after_a_reload(
    people: list[User], thread: Thread, open_socket: Open, signed_in: Callable[[User], Client]
):
    ada, ben, _ = people
    a, b = open_socket(ada), open_socket(ben)
    assert a.greeting["thread_heads"] == {str(thread.id): 0}
    assert a.subscribe(thread.id, 0) == {
        "events": [
            {"event": "message:read", "thread": str(thread.id), "data": {"user": str(user.id), "seq": 0}}
            for user in (ada, ben)
        ],
        "head": 0,
        "recovered": True,
    }
    b.subscribe(thread.id, 0)
    ack = a.ask("message:send", thread=str(thread.id), content="Hello Ben", client_id="c1")["data"]
    assert (ack["seq"], ack["msg_seq"], ack["duplicate"]) == (1, 1, False)
    assert Message.objects.filter(id=ack["id"]).exists()
    frames = [socket.expect("message:received") for socket in (a, b)]
    assert frames[0] == frames[1]
    assert (frames[0]["seq"], frames[0]["data"]["op"], frames[0]["data"]["content"]) == (
        1,
        "created",
        "Hello Ben",
    )
    assert frames[0]["data"]["sender"] == {"id": str(ada.id), "display_name": "Ada"}
    b.ask("message:send", thread=str(thread.id), content="Hello Ada", reply_to=ack["id"])
    assert a.expect("message:received")["seq"] == 1 + 1
    page = signed_in(ben).get(f"/api/v1/threads/{thread.id}/messages").json()
    assert [message["content"] for message in page["results"]] == ["Hello Ada", "Hello Ben"]
    shown = {key: value for key, value in frames[0]["data"].items() if key != "op"}
    assert page["results"][1] == shown


def test_reconnecting_brings_exactly_what_was_missed(people: list[User], thread: Thread, open_socket: Open):
    ada, ben, _ = people
    b = open_socket(ben)
    b.subscribe(thread.id, 0)
    replica = fresh(thread)
    say(thread, ada, "Seen")
    replica.apply(b.expect("message:received"))
    b.close()
    for number in range(7):
        say(thread, ada, f"Missed {number}")
    back = open_socket(ben)
    assert back.greeting["thread_heads"] == {str(thread.id): 8}
    answer = back.subscribe(thread.id, replica.seq)
    assert [frame["seq"] for frame in answer["events"] if "seq" in frame] == list(range(2, 9))
    for frame in answer["events"]:
        replica.apply(frame)
    say(thread, ada, "Live again")
    replica.apply(back.expect("message:received"))
    assert list(replica.messages) == [str(m.id) for m in Message.objects.order_by("seq")]


def test_the_heartbeat_tells_of_a_change_that_was_not_heard(
    people: list[User], thread: Thread, open_socket: Open
):
    ada, ben, _ = people
    b = open_socket(ben)
    say(thread, ada)
    assert b.ask("ping")["data"]["thread_heads"] == {str(thread.id): 1}
    assert b.ask("ping")["data"] == {}


def test_a_retry_over_the_socket_is_the_same_message(people: list[User], thread: Thread, open_socket: Open):
    a = open_socket(people[0])
    sent = {"thread": str(thread.id), "content": "Once", "client_id": "c1"}
    first, again = a.ask("message:send", **sent)["data"], a.ask("message:send", **sent)["data"]
    assert again == {**first, "duplicate": True}
    refused = a.ask("message:send", **{**sent, "content": "Other"})
    assert (refused["event"], refused["data"]["code"], refused["data"]["attr"]) == (
        "error",
        "client_id_reused",
        "client_id",
    )


def test_thread_lists_move_without_a_subscription(people: list[User], thread: Thread, open_socket: Open):
    ada, ben, _ = people
    a, b = open_socket(ada), open_socket(ben)
    say(thread, ada, "Ring")
    bell = b.expect("thread:updated", op="message")
    assert "seq" not in bell
    assert (bell["data"]["msg_seq"], bell["data"]["last_message"]["content"]) == (1, "Ring")
    assert a.expect("thread:updated", op="message")["data"]["seen_count"] == 1
    assert b.quiet("message:received")


def test_read_marks_reach_the_other_side_and_ones_own_sockets(
    people: list[User], thread: Thread, open_socket: Open
):
    ada, ben, _ = people
    a, b, b2 = open_socket(ada), open_socket(ben), open_socket(ben)
    a.subscribe(thread.id)
    say(thread, ada)
    answer = b.ask("message:read", thread=str(thread.id), seq=1)["data"]
    assert answer == {"thread": str(thread.id), "seq": 1, "seen_count": 1, "unread_count": 0}
    assert a.expect("message:read")["data"] == {"user": str(ben.id), "seq": 1}
    assert b2.expect("thread:updated", op="read")["data"]["unread_count"] == 0
    b.ask("message:read", thread=str(thread.id), seq=1)
    assert a.quiet("message:read")


def test_typing_is_passed_on_not_too_often_and_never_stored(
    people: list[User], thread: Thread, open_socket: Open
):
    ada, ben, _ = people
    a, b = open_socket(ada), open_socket(ben)
    where = {"thread": str(thread.id)}
    assert a.ask("typing:start", **where)["data"]["code"] == "not_subscribed"
    for socket in (a, b):
        socket.subscribe(thread.id)
    a.ask("typing:start", **where)
    frame = b.expect("typing:start")
    assert frame["data"] == {"user": {"id": str(ada.id), "display_name": "Ada"}, "expires_in_ms": 15_000}
    a.ask("typing:start", **where)
    assert b.quiet("typing:start")
    a.ask("typing:stop", **where)
    assert b.expect("typing:stop")["data"]["user"]["id"] == str(ada.id)
    a.ask("typing:stop", **where)
    assert b.quiet("typing:stop")
    thread.refresh_from_db()
    assert thread.seq == 0


def test_whoever_is_put_out_hears_nothing_more(people: list[User], open_socket: Open):
    ada, ben, cleo = people
    thread = open_thread(ada.memberships.get().organization, ada, ben)
    where = {"organization_id": thread.organization_id, "thread_id": thread.id, "user_id": ada.id}
    c = open_socket(cleo)
    add_participants(**where, participants=[cleo.id])
    assert c.expect("thread:updated", op="created")["thread"] == str(thread.id)
    c.subscribe(thread.id)
    say(thread, ada, "Heard")
    c.expect("message:received")
    remove_participant(**where, participant_user_id=cleo.id)
    c.expect("thread:updated", op="gone")
    assert c.quiet("nothing", seconds=0.2)
    say(thread, ada, "Not heard")
    assert c.quiet("message:received")
    assert c.ask("subscribe", topic=f"thread:{thread.id}")["data"]["code"] == "not_found"
    refused = c.ask("message:send", thread=str(thread.id), content="Still here?")
    assert refused["data"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("event", "data", "code", "attr"),
    [
        ("message:send", {}, "invalid", "thread"),
        ("message:send", {"thread": "THREAD"}, "wrong_type", "content"),
        ("message:send", {"thread": "THREAD", "content": " "}, "blank", "content"),
        ("message:send", {"thread": "THREAD", "content": "a\u0000"}, "null_character", "content"),
        ("message:send", {"thread": "THREAD", "content": "x" * 10_001}, "max_length", "content"),
        ("message:send", {"thread": "THREAD", "content": "x", "reply_to": 3}, "invalid", "reply_to"),
        ("message:send", {"thread": "THREAD", "content": "x", "client_id": []}, "wrong_type", "client_id"),
        ("message:send", {"thread": "THREAD", "content": "x", "attachments": ["a"]}, "not_supported", "attachments"),
        ("message:send", {"thread": str(uuid.UUID(int=0)), "content": "x"}, "not_found", None),
        ("message:read", {"thread": "THREAD"}, "wrong_type", "seq"),
        ("message:read", {"thread": "THREAD", "seq": -1}, "wrong_type", "seq"),
        ("message:read", {"thread": str(uuid.UUID(int=0)), "seq": 1}, "not_found", None),
        ("typing:start", {"thread": 7}, "invalid", "thread"),
        ("subscribe", {"topic": "thread:nonsense"}, "not_found", "topic"),
        ("subscribe", {"topic": "thread:THREAD", "since_seq": "x"}, "invalid", "since_seq"),
    ],
)  # fmt: skip
def test_malformed_frames_are_explained_and_the_socket_lives(
    people: list[User],
    thread: Thread,
    open_socket: Open,
    event: str,
    data: dict[str, Any],
    code: str,
    attr: str | None,
):
    a = open_socket(people[0])
    spelled = json.loads(json.dumps(data).replace("THREAD", str(thread.id)))
    answer = a.ask(event, **spelled)
    assert (answer["event"], answer["data"]["code"], answer["data"].get("attr")) == ("error", code, attr)
    assert a.ask("message:send", thread=str(thread.id), content="Fine")["data"]["seq"] == 1
