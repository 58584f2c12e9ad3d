"""What becomes of frames, good and bad."""

from __future__ import annotations

from typing import Any

import pytest

from castcomm.realtime import frames, hub, topics

from .running import Person, Server, running_server, signed_in


async def test_an_event_is_answered_under_its_id(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        await client.send("test:echo", {"text": "ü" * 300}, id="c17")
        assert await client.receive() == {"ack": "c17", "event": "test:echo", "data": {"text": "ü" * 300}}


async def test_an_event_without_id_is_not_answered(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        await client.send("test:echo", {"n": 1})
        assert (await client.ask("test:echo", {"n": 2}))["data"] == {"n": 2}


async def test_events_of_one_socket_are_answered_in_order(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        await client.send("test:slow", {"seconds": 0.2}, id="slow")
        await client.send("test:echo", {}, id="quick")
        assert [(await client.receive())["ack"] for _ in range(2)] == ["slow", "quick"]


async def test_database_work_runs_in_a_thread_of_the_pool(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        assert (await client.ask("test:whoami"))["data"]["thread"].startswith("realtime")


@pytest.mark.parametrize(
    ("text", "code", "attr"),
    [
        ("{", "invalid_json", None),
        ("", "invalid_json", None),
        ("\ufeff{}", "invalid_json", None),
        ("[" * 2000, "invalid_json", None),
        ("[]", "invalid_frame", None),
        ("null", "invalid_frame", None),
        ('{"v": 2, "id": "c9", "event": "test:echo"}', "unsupported_version", "v"),
        ('{"v": true, "id": "c9", "event": "test:echo"}', "unsupported_version", "v"),
        ('{"v": 1, "id": 7, "event": "test:echo"}', "invalid", "id"),
        ('{"v": 1, "id": "c9"}', "invalid", "event"),
        ('{"v": 1, "id": "c9", "event": ["test:echo"]}', "invalid", "event"),
        ('{"v": 1, "id": "c9", "event": "test:echo", "data": []}', "invalid", "data"),
        ('{"v": 1, "id": "c9", "event": "no:such"}', "unknown_event", "event"),
    ],
)
async def test_a_bad_frame_gets_a_clear_error_and_the_socket_lives_on(
    server: Server, person: Person, text: str, code: str, attr: str | None
) -> None:
    async with signed_in(server, person) as client:
        await client.socket.send(text)
        error = await client.receive()
        assert error["event"] == "error"
        assert error["data"]["code"] == code
        assert error["data"].get("attr") == attr
        assert error["data"]["temporary"] is False
        assert error.get("ack") == ("c9" if '"c9"' in text else None)
        assert (await client.ask("test:echo", {"fine": True}))["data"] == {"fine": True}


async def test_binary_frames_are_refused(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        await client.socket.send(b"\x00\x01")
        assert (await client.receive())["data"]["code"] == "binary_frame"


async def test_a_frame_that_is_too_big_closes_the_socket(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        assert (await client.ask("test:echo", {"text": "x" * 65_000}))["event"] == "test:echo"
        await client.send("test:echo", {"text": "x" * 66_000}, id="big")
        assert (await client.receive())["data"]["code"] == "frame_too_large"
        assert (await client.closed())[0] == 1009


async def test_a_frame_far_too_big_is_not_even_read(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        await client.send("test:echo", {"text": "x" * 200_000}, id="big")
        assert (await client.closed())[0] == 1009


async def test_nothing_but_malformed_frames_closes_the_socket(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        for _ in range(20):
            await client.socket.send("{")
        assert await client.closed() == (4400, "too many malformed frames")


async def test_a_handlers_error_names_the_field(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        error = await client.ask("test:refuse")
        assert error["data"] == {
            "code": "max_length",
            "message": "content is too long.",
            "temporary": False,
            "attr": "content",
        }


async def test_a_bug_in_a_handler_is_not_told_and_does_not_end_the_socket(
    server: Server, person: Person
) -> None:
    async with signed_in(server, person) as client:
        error = await client.ask("test:crash")
        assert error["data"]["code"] == "internal_error"
        assert "bug" not in str(error)
        assert (await client.ask("test:echo", {}))["event"] == "test:echo"


async def test_a_flood_is_slowed_down_and_then_closed(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        answers: list[dict[str, Any]] = []
        for number in range(120):
            answers.append(await client.ask("test:echo", {"n": number}))
        refused = [answer for answer in answers if answer["event"] == "error"]
        assert 15 <= len(refused) <= 20
        assert refused[0]["data"]["code"] == "rate_limited"
        assert refused[0]["data"]["temporary"] is True
        assert 0 < refused[0]["data"]["retry_after_ms"] <= 1000
        for number in range(250):
            await client.send("test:echo", {"n": number})
        assert await client.closed() == (4429, "rate limited")


async def test_a_socket_with_compression_works_too(redis_prefix: str, person: Person, settings: Any) -> None:
    with running_server(redis_url=settings.REDIS_URL, redis_prefix=redis_prefix, deflate=True) as compressing:
        async with signed_in(compressing, person, compression="deflate") as client:
            stats = (await client.ask("test:stats"))["data"]
            assert stats["writer"] == "SocketWriter"
            assert (await client.ask("test:echo", {"text": "x" * 5000}))["data"] == {"text": "x" * 5000}


async def test_the_fast_way_out_is_taken_on_this_uvicorn(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        assert (await client.ask("test:stats"))["data"]["writer"] == "UvicornWriter"


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
async def test_frames_of_every_length_class_arrive_whole(server: Server, person: Person, size: int) -> None:
    async with signed_in(server, person) as client:
        frame = {"event": "notification", "seq": 1, "data": {"text": "x" * size}}
        hub.publish(topics.user_topic(person.user_id, person.organization_id), frame)
        assert await client.receive() == frame


def test_a_frame_survives_its_way_through_redis() -> None:
    sent = {"event": "message:received", "seq": 412, "data": {"text": "a\nb"}}
    frame = frames.decode(frames.encode(sent, ephemeral=True))
    assert (frame.event, frame.seq, frame.ephemeral) == ("message:received", 412, True)
    assert frame.text == frames.to_json(sent)


@pytest.mark.parametrize(
    "frame", [{}, {"event": ""}, {"event": "a b"}, {"event": "a\nb"}, {"event": "a", "seq": "1"}]
)
def test_a_frame_that_could_not_be_read_again_is_not_sent(frame: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="frame"):
        frames.encode(frame)


@pytest.mark.parametrize("payload", [b"", b"{}", b"x1 a\n{}", b"d1x a\n{}"])
def test_a_foreign_message_is_not_taken_for_a_frame(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"frame|invalid literal"):
        frames.decode(payload)
