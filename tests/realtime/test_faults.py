"""Slow peers, restarts, and a Redis that goes away."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any
from uuid import uuid4

import pytest
import websockets
from django.test import override_settings

from castcomm.realtime import hub
from castcomm.realtime.publisher import BlockingPublisher

from .running import Client, Person, Server, open_socket, own_redis, running_server, signed_in


async def _stats(client: Client) -> dict[str, Any]:
    data: dict[str, Any] = (await client.ask("test:stats"))["data"]
    return data


def _flood(topic: str, count: int, size: int, *, start: int = 0) -> None:
    text = "x" * size
    for first in range(start, start + count, 50):
        numbers = range(first + 1, min(first + 50, start + count) + 1)
        hub.publish_many((topic, {"event": "flood", "seq": seq, "data": {"text": text}}) for seq in numbers)


async def _subscribed(client: Client, topic: str) -> Client:
    assert (await client.ask("subscribe", {"topic": topic}))["event"] == "subscribe"
    return client


async def test_a_client_that_never_reads_is_cut_off_with_bounded_memory(
    redis_prefix: str, settings: Any
) -> None:
    topic = f"room:{uuid4().hex}"
    with running_server(redis_url=settings.REDIS_URL, redis_prefix=redis_prefix) as server:
        async with (
            signed_in(server, Person()) as watcher,
            signed_in(server, Person(), max_queue=1, close_timeout=0.2) as sleeper,
        ):
            await _subscribed(sleeper, topic)
            before = server.resident_bytes()
            await asyncio.to_thread(_flood, topic, 20_000, 2_000)
            while (await _stats(watcher))["connections"] > 1:
                await asyncio.sleep(0.5)
            assert server.resident_bytes() - before < 16 * 1024 * 1024
            stats = await _stats(watcher)
            assert stats["closed_slow"] == 1
            # The connection was cut: it could not take a close frame.
            assert (await sleeper.closed())[0] == 1006


async def test_a_client_that_reads_too_slowly_is_told_to_resume(server: Server) -> None:
    topic = f"room:{uuid4().hex}"
    async with (
        signed_in(server, Person()) as watcher,
        signed_in(server, Person(), max_queue=1, close_timeout=0.2) as sleeper,
    ):
        await _subscribed(sleeper, topic)
        before = (await _stats(watcher))["closed_slow"]
        published = 0
        while (await _stats(watcher))["closed_slow"] == before:
            await asyncio.to_thread(_flood, topic, 500, 2_000, start=published)
            published += 500
        assert await sleeper.closed() == (4408, "too slow")


async def test_a_quick_client_is_not_disturbed_by_a_slow_one(server: Server) -> None:
    topic = f"room:{uuid4().hex}"
    async with (
        signed_in(server, Person()) as quick,
        signed_in(server, Person(), max_queue=1, close_timeout=0.2) as sleeper,
    ):
        await _subscribed(sleeper, topic)
        await _subscribed(quick, topic)
        flooding = asyncio.create_task(asyncio.to_thread(_flood, topic, 3_000, 2_000))
        seen = [(await quick.receive())["seq"] for _ in range(3_000)]
        await flooding
        assert seen == list(range(1, 3_001))


async def test_ephemeral_frames_are_dropped_before_durable_ones(server: Server) -> None:
    topic = f"room:{uuid4().hex}"
    async with (
        signed_in(server, Person()) as watcher,
        signed_in(server, Person(), max_queue=1, close_timeout=0.2) as sleeper,
    ):
        await _subscribed(sleeper, topic)
        before = await _stats(watcher)
        typing = {"event": "typing:start", "data": {"text": "x" * 2_000}}
        sent = 0
        while (await _stats(watcher))["dropped"] == before["dropped"]:
            for _ in range(500):
                hub.publish(topic, typing, ephemeral=True)
            sent += 500
        for seq in range(1, 101):
            hub.publish(topic, {"event": "message:received", "seq": seq})
        await asyncio.sleep(0.3)
        received = 0
        durable: list[int] = []
        while len(durable) < 100:
            frame = await sleeper.receive()
            if frame["event"] == "message:received":
                durable.append(frame["seq"])
            else:
                received += 1
        assert durable == list(range(1, 101))
        assert received < sent
        assert (await _stats(watcher))["closed_slow"] == before["closed_slow"]


async def test_a_terminated_server_says_when_to_come_back_and_finishes_what_it_does(
    redis_prefix: str, settings: Any
) -> None:
    with running_server(redis_url=settings.REDIS_URL, redis_prefix=redis_prefix) as server:
        async with (
            signed_in(server, Person()) as busy,
            signed_in(server, Person()) as idle,
            open_socket(server.url) as stranger,
        ):
            await busy.send("test:slow", {"seconds": 0.5}, id="work")
            await asyncio.sleep(0.1)
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            for client in (idle, stranger):
                code, reason = await client.closed()
                assert code == 1012
                assert reason.startswith("restart retry_ms=")
            assert (await busy.receive())["data"] == {"done": True}
            assert (await busy.closed())[0] == 1012
        await asyncio.to_thread(server.process.wait, 10)
        assert time.monotonic() - begin < 5


async def test_a_full_server_refuses_politely(redis_prefix: str, settings: Any) -> None:
    with running_server(
        redis_url=settings.REDIS_URL, redis_prefix=redis_prefix, WS_MAX_CONNECTIONS="1"
    ) as server:
        async with signed_in(server, Person()):
            with pytest.raises(websockets.InvalidStatus) as refusal:
                async with open_socket(server.url):
                    raise AssertionError("the handshake was accepted")
            assert refusal.value.response.status_code == 503
            assert "Retry-After" in refusal.value.response.headers


async def test_sockets_outlive_redis_and_are_told_to_resync(person: Person) -> None:
    with own_redis() as redis, running_server(redis_url=redis.url, redis_prefix="own") as server:
        async with (
            signed_in(server, person) as client,
            signed_in(server, person, path="/ws/notifications") as inbox,
        ):
            await _subscribed(client, "room:here")
            redis.stop()
            assert (await client.ask("test:echo", {"alive": True}))["data"] == {"alive": True}
            redis.start()
            frame = await client.receive()
            assert frame["event"] == "resync"
            assert frame["data"]["within_ms"] >= 0
            assert (await inbox.receive())["event"] == "resync"
            with override_settings(REDIS_URL=redis.url, REDIS_PREFIX="own"):
                publisher = _publisher()
                assert publisher.send([(hub.channel_of("room:here"), b'd1 message:received\n{"seq":1}')])
            assert await client.receive() == {"seq": 1}


async def test_a_socket_can_be_opened_while_redis_is_away(person: Person) -> None:
    with own_redis() as redis, running_server(redis_url=redis.url, redis_prefix="own") as server:
        redis.stop()
        async with signed_in(server, person) as client:
            assert (await client.ask("test:stats"))["data"]["redis_connected"] is False
            redis.start()
            assert (await client.receive())["event"] == "resync"
            assert (await client.ask("test:stats"))["data"]["redis_connected"] is True


async def test_a_frozen_redis_holds_no_thread_and_what_was_lost_is_made_known(person: Person) -> None:
    with own_redis() as redis, running_server(redis_url=redis.url, redis_prefix="own") as server:
        async with signed_in(server, person) as client:
            await _subscribed(client, "room:here")
            with override_settings(REDIS_URL=redis.url, REDIS_PREFIX="own"):
                publisher = _publisher()
                message = (hub.channel_of("room:here"), b'd1 message:received\n{"seq":1}')
                assert publisher.send([message])
                assert await client.receive() == {"seq": 1}
                redis.signal(signal.SIGSTOP)
                begin = time.monotonic()
                assert not await asyncio.to_thread(publisher.send, [message])
                assert time.monotonic() - begin < 1.5
                begin = time.monotonic()
                for _ in range(100):
                    assert not publisher.send([message])
                assert time.monotonic() - begin < 0.1
                redis.signal(signal.SIGCONT)
                while not publisher.send([message]):
                    await asyncio.sleep(0.1)
            events = [await client.receive() for _ in range(2)]
            while events[-1].get("event") != "resync":
                events.append(await client.receive())


def test_publishing_without_redis_raises_nothing() -> None:
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        assert not _publisher().send([(b"channel", b"payload")])


def _publisher() -> BlockingPublisher:
    return BlockingPublisher(hub._resync_message(hub.channel_prefix()))
