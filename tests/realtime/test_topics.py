"""Subscribing, and not missing anything."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import orjson
import pytest
import redis
from django.conf import settings

from castcomm.realtime import hub, sessions, topics

from .running import Client, Person, Server, running_server, signed_in


class Room:
    """Writes as an app does: the row first, then the frame."""

    def __init__(self, name: str = "") -> None:
        self.key = f"{name}{uuid4().hex}"
        self.topic = f"room:{self.key}"
        self._store = redis.Redis.from_url(settings.REDIS_URL)
        self._seq = 0

    def say(self, *, tell: bool = True) -> int:
        self._seq += 1
        frame = {"event": "message:received", "seq": self._seq, "data": {"n": self._seq}}
        self._store.rpush(f"{settings.REDIS_PREFIX}:log:{self.key}", orjson.dumps(frame))
        if tell:
            hub.publish(self.topic, frame)
        return self._seq


async def test_what_was_missed_is_replayed(server: Server, person: Person) -> None:
    room = Room()
    for _ in range(5):
        room.say()
    async with signed_in(server, person) as client:
        answer = (await client.ask("subscribe", {"topic": room.topic, "since_seq": 3}))["data"]
        assert [event["seq"] for event in answer["events"]] == [4, 5]
        assert (answer["head"], answer["recovered"]) == (5, True)
        room.say()
        assert (await client.receive())["seq"] == 6


async def test_without_since_seq_only_the_head_is_told(server: Server, person: Person) -> None:
    room = Room()
    room.say()
    async with signed_in(server, person) as client:
        answer = (await client.ask("subscribe", {"topic": room.topic}))["data"]
        assert answer == {"events": [], "head": 1, "recovered": True}


async def test_too_big_a_gap_is_left_to_rest(server: Server, person: Person) -> None:
    room = Room()
    for _ in range(305):
        room.say(tell=False)
    async with signed_in(server, person) as client:
        answer = (await client.ask("subscribe", {"topic": room.topic, "since_seq": 1}))["data"]
        assert answer == {"events": [], "head": 305, "recovered": False}


@pytest.mark.parametrize("crowd", [0, 12])
async def test_nothing_is_missed_and_nothing_comes_twice_while_others_write(
    server: Server, person: Person, crowd: int
) -> None:
    room = Room("slow")
    total = 80

    async def write() -> None:
        for _ in range(total):
            await asyncio.to_thread(room.say)
            await asyncio.sleep(0.005)

    async with AsyncExitStack() as sockets:
        # A crowd is served in bursts.
        for _ in range(crowd):
            listener = await sockets.enter_async_context(signed_in(server, Person(), max_queue=None))
            await listener.ask("subscribe", {"topic": room.topic})
        client = await sockets.enter_async_context(signed_in(server, person))
        writing = asyncio.create_task(write())
        seen: list[int] = []
        # Asking again is what a client does that finds a gap; it must hold then as well.
        while not writing.done():
            await client.send(
                "subscribe", {"topic": room.topic, "since_seq": seen[-1] if seen else 0}, id="s"
            )
            while (frame := await client.receive()).get("ack") != "s":
                seen.append(frame["seq"])
            newest = seen[-1] if seen else 0
            seen += [event["seq"] for event in frame["data"]["events"] if event["seq"] > newest]
            await asyncio.sleep(0.1)
        await writing
        while seen[-1] < total:
            seen.append((await client.receive())["seq"])
    assert seen == list(range(1, total + 1))


@pytest.mark.parametrize(
    ("data", "code", "attr"),
    [
        ({}, "invalid", "topic"),
        ({"topic": "room"}, "invalid", "topic"),
        ({"topic": "room:"}, "invalid", "topic"),
        ({"topic": "room:" + "x" * 300}, "invalid", "topic"),
        ({"topic": {"room": 1}}, "invalid", "topic"),
        ({"topic": "user:someone:else"}, "not_found", "topic"),
        ({"topic": "control:all"}, "not_found", "topic"),
        ({"topic": "room:closed"}, "not_found", "topic"),
        ({"topic": "room:open", "since_seq": -1}, "invalid", "since_seq"),
        ({"topic": "room:open", "since_seq": "1"}, "invalid", "since_seq"),
        ({"topic": "room:open", "since_seq": True}, "invalid", "since_seq"),
        ({"topic": "room:broken"}, "internal_error", None),
    ],
)
async def test_what_cannot_be_subscribed_is_refused(
    server: Server, person: Person, data: dict[str, object], code: str, attr: str | None
) -> None:
    async with signed_in(server, person) as client:
        error = (await client.ask("subscribe", data))["data"]
        assert (error["code"], error.get("attr")) == (code, attr)


async def test_a_closed_room_is_not_heard(server: Server, person: Person) -> None:
    room = Room("closed")
    async with signed_in(server, person) as client:
        await client.ask("subscribe", {"topic": room.topic})
        room.say()
        await asyncio.sleep(0.1)
        assert (await client.ask("test:echo", {}))["event"] == "test:echo"


async def test_after_unsubscribing_nothing_comes(server: Server, person: Person) -> None:
    room = Room()
    async with signed_in(server, person) as leaver, signed_in(server, Person()) as stayer:
        for client in (leaver, stayer):
            await client.ask("subscribe", {"topic": room.topic})
        await leaver.ask("unsubscribe", {"topic": room.topic})
        await leaver.ask("unsubscribe", {"topic": room.topic})
        room.say()
        assert (await stayer.receive())["seq"] == 1
        assert (await leaver.ask("test:echo", {}))["event"] == "test:echo"


async def test_leaving_and_coming_back_in_a_hurry_loses_nothing(server: Server, person: Person) -> None:
    room = Room()
    async with signed_in(server, person) as client:
        for _ in range(10):
            await client.ask("subscribe", {"topic": room.topic})
            await client.ask("unsubscribe", {"topic": room.topic})
        await client.ask("subscribe", {"topic": room.topic})
        room.say()
        assert (await client.receive())["seq"] == 1


async def test_an_app_can_take_a_topic_away(server: Server, person: Person) -> None:
    room = Room()
    async with signed_in(server, person) as client, signed_in(server, Person()) as other:
        for each in (client, other):
            await each.ask("subscribe", {"topic": room.topic})
        sessions.end_subscription(person.user_id, room.topic)
        await asyncio.sleep(0.1)
        room.say()
        assert (await other.receive())["seq"] == 1
        assert (await client.ask("test:echo", {}))["event"] == "test:echo"


async def test_a_socket_may_not_have_topics_without_end(redis_prefix: str, person: Person) -> None:
    variables = {"redis_url": settings.REDIS_URL, "redis_prefix": redis_prefix, "WS_RATE_PER_MINUTE": "0"}
    with running_server(**variables) as server:
        async with signed_in(server, person) as client:
            # Two topics of its own are there from the start.
            for number in range(198):
                assert (await client.ask("subscribe", {"topic": f"room:{number}"}))["event"] == "subscribe"
            assert (await client.ask("subscribe", {"topic": "room:more"}))["data"][
                "code"
            ] == "too_many_topics"
            assert (await client.ask("subscribe", {"topic": "room:7"}))["event"] == "subscribe"
            await client.ask("unsubscribe", {"topic": "room:7"})
            assert (await client.ask("subscribe", {"topic": "room:more"}))["event"] == "subscribe"


async def test_every_socket_of_a_person_hears_their_own_news_and_nobody_elses(
    server: Server, person: Person
) -> None:
    stranger = Person()
    stranger.organization_id = person.organization_id
    same_user_elsewhere = Person()
    same_user_elsewhere.user_id = person.user_id
    async with (
        signed_in(server, person) as one,
        signed_in(server, person) as two,
        signed_in(server, stranger) as other,
        signed_in(server, same_user_elsewhere) as elsewhere,
    ):
        news = {"event": "notification", "seq": 7, "data": {"id": str(uuid4())}}
        hub.publish(topics.user_topic(person.user_id, person.organization_id), news)
        assert await one.receive() == news
        assert await two.receive() == news
        for silent in (other, elsewhere):
            assert (await silent.ask("test:echo", {}))["event"] == "test:echo"


async def test_the_inbox_socket_hears_notifications_and_answers_little_else(
    server: Server, person: Person
) -> None:
    topic = topics.user_topic(person.user_id, person.organization_id)
    async with signed_in(server, person, path="/ws/notifications") as client:
        hub.publish_many([(topic, {"event": "thread:updated"}), (topic, {"event": "notification", "seq": 1})])
        assert await client.receive() == {"event": "notification", "seq": 1}
        assert (await client.ask("test:echo", {}))["data"]["code"] == "unknown_event"
        assert (await client.ask("subscribe", {"topic": "room:1"}))["data"]["code"] == "not_found"
        answer = await client.ask("subscribe", {"topic": topic, "since_seq": 0})
        assert answer["data"]["head"] == 0
        assert (await client.ask("ping"))["event"] == "pong"


async def test_pong_tells_heads_that_changed_once(server: Server, person: Person) -> None:
    store = redis.Redis.from_url(settings.REDIS_URL)
    async with signed_in(server, person) as client:
        assert (await client.ask("ping"))["data"] == {}
        store.set(f"{settings.REDIS_PREFIX}:head:{person.user_id}", 9, ex=60)
        assert (await client.ask("ping"))["data"] == {"inbox_seq": 9}
        assert (await client.ask("ping"))["data"] == {}
        await client.send("ping")
        assert await client.receive() == {"event": "pong", "data": {}}


async def test_a_big_room_hears_everything_in_order(server: Server) -> None:
    """More than a handful of listeners are served in bursts; they must not notice."""
    room = Room()

    async def listen(client: Client) -> list[int]:
        return [(await client.receive())["seq"] for _ in range(200)]

    async with AsyncExitStack() as sockets:
        clients = [await sockets.enter_async_context(signed_in(server, Person())) for _ in range(15)]
        for client in clients:
            await client.ask("subscribe", {"topic": room.topic})
        listening = [asyncio.create_task(listen(client)) for client in clients]
        for _ in range(200):
            await asyncio.to_thread(room.say)
        for heard in await asyncio.gather(*listening):
            assert heard == list(range(1, 201))
