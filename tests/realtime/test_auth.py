"""Who gets in, and how they are put out again."""

from __future__ import annotations

import asyncio

import pytest
import websockets
from django.test import override_settings

from castcomm.common.errors import TemporarilyUnavailable
from castcomm.realtime import sessions, tickets

from .running import Person, Server, free_port, open_socket, signed_in


async def test_a_token_in_the_first_frame_is_greeted_with_limits_and_heads(
    server: Server, person: Person
) -> None:
    async with open_socket(server.url) as client:
        greeting = await client.ask("auth", {"token": person.token})
    assert greeting["event"] == "auth:success"
    data = greeting["data"]
    assert data["user"] == {"id": str(person.user_id), "organization": str(person.organization_id)}
    assert data["heartbeat_ms"] == 30_000
    assert data["limits"]["frame_bytes"] == 65_536
    assert data["inbox_seq"] == 0


async def test_a_ticket_opens_one_socket_and_no_second_one(server: Server, person: Person) -> None:
    ticket = tickets.issue_ticket(person.user_id, person.organization_id)
    async with open_socket(server.url) as client:
        assert (await client.ask("auth", {"ticket": ticket}))["event"] == "auth:success"
    async with open_socket(server.url) as client:
        refusal = await client.ask("auth", {"ticket": ticket})
        assert refusal["data"]["code"] == "invalid_credential"
        assert await client.closed() == (4401, "not authenticated")


async def test_a_ticket_may_stand_in_the_url(server: Server, person: Person) -> None:
    ticket = tickets.issue_ticket(person.user_id, person.organization_id)
    async with open_socket(f"{server.url}?ticket={ticket}") as client:
        assert (await client.receive())["event"] == "auth:success"
        assert (await client.ask("test:whoami"))["data"]["user"] == str(person.user_id)
    async with open_socket(f"{server.url}?ticket={ticket}") as client:
        assert (await client.closed())[0] == 4401


async def test_an_expired_ticket_is_worth_nothing(
    server: Server, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "TICKET_SECONDS", 1)
    ticket = tickets.issue_ticket(person.user_id, person.organization_id)
    await asyncio.sleep(1.1)
    async with open_socket(server.url) as client:
        await client.ask("auth", {"ticket": ticket})
        assert (await client.closed())[0] == 4401


def test_tickets_need_redis_and_say_so(person: Person) -> None:
    tickets._client.cache_clear()
    with (
        override_settings(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"),
        pytest.raises(TemporarilyUnavailable),
    ):
        tickets.issue_ticket(person.user_id, person.organization_id)
    tickets._client.cache_clear()


@pytest.mark.parametrize("data", [{"token": "nobody"}, {"token": ""}, {"ticket": "x" * 500}])
async def test_a_wrong_credential_is_refused(server: Server, data: dict[str, str]) -> None:
    async with open_socket(server.url) as client:
        assert (await client.ask("auth", data))["data"]["code"] == "invalid_credential"
        assert (await client.closed())[0] == 4401


async def test_anything_but_auth_first_is_refused(server: Server) -> None:
    async with open_socket(server.url) as client:
        await client.send("test:echo", {}, id="c1")
        assert (await client.receive())["data"]["code"] == "not_authenticated"
        assert (await client.closed())[0] == 4401


async def test_a_socket_that_says_nothing_is_closed_after_five_seconds(server: Server) -> None:
    async with open_socket(server.url) as client:
        assert await client.closed() == (4401, "no auth frame")


async def test_a_broken_authenticator_is_our_fault_and_not_the_clients(server: Server) -> None:
    async with open_socket(server.url) as client:
        await client.send("auth", {"token": "broken"}, id="c1")
        assert (await client.receive())["data"]["code"] == "internal_error"
        assert (await client.closed())[0] == 1011


async def test_a_second_auth_frame_changes_nothing(server: Server, person: Person) -> None:
    async with signed_in(server, person) as client:
        assert (await client.ask("auth", {"token": Person().token}))["data"][
            "code"
        ] == "already_authenticated"
        assert (await client.ask("test:whoami"))["data"]["user"] == str(person.user_id)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://app.example.com", True),
        ("https://app.example.com:8443", True),
        ("https://partner.example.org", True),
        ("https://evil.example.net", False),
        ("https://app.example.com.evil.example.net", False),
        ("null", False),
        ("file://app.example.com", False),
        ("http://[broken", False),
    ],
)
async def test_pages_of_other_sites_may_not_open_a_socket(
    server: Server, origin: str | None, allowed: bool
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    if allowed:
        async with open_socket(server.url, additional_headers=headers):
            return
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with open_socket(server.url, additional_headers=headers):
            raise AssertionError("the handshake was accepted")
    assert refusal.value.response.status_code == 403


async def test_there_is_no_other_path(server: Server) -> None:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with open_socket(f"{server.url}elsewhere/"):
            raise AssertionError("the handshake was accepted")
    assert refusal.value.response.status_code == 404


async def test_a_revoked_person_is_put_out_everywhere_and_others_stay(server: Server, person: Person) -> None:
    async with (
        signed_in(server, person) as one,
        signed_in(server, person) as two,
        signed_in(server, Person()) as other,
    ):
        sessions.revoke(person.user_id)
        assert await one.closed() == (4403, "revoked")
        assert await two.closed() == (4403, "revoked")
        assert (await other.ask("test:echo", {"still": "here"}))["data"] == {"still": "here"}


async def test_revoking_one_session_leaves_the_persons_other_sockets(server: Server, person: Person) -> None:
    ticket = tickets.issue_ticket(person.user_id, person.organization_id, credential="session:phone")
    async with open_socket(f"{server.url}?ticket={ticket}") as phone, signed_in(server, person) as laptop:
        assert (await phone.receive())["event"] == "auth:success"
        sessions.revoke(person.user_id, credential="session:phone")
        assert (await phone.closed())[0] == 4403
        assert (await laptop.ask("test:echo", {}))["event"] == "test:echo"
