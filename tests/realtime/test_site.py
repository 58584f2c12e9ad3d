"""The whole application on one port: sign-in by cookie, HTTP beside the sockets, and the end of a membership."""

from __future__ import annotations

import asyncio
import os
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client as Browser

from accounts.models import Membership, Organization, User
from castcomm.realtime.auth import identify_session, session_credential
from castcomm.realtime.tickets import issue_ticket

from .running import Server, open_socket, running_server

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(scope="module")
def site(django_db_setup: None, redis_prefix: str) -> Iterator[Server]:
    database = (
        urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    )
    with running_server(
        redis_url=settings.REDIS_URL,
        redis_prefix=redis_prefix,
        application="castcomm.asgi:application",
        DJANGO_SETTINGS_MODULE="castcomm.settings",
        DATABASE_URL=database,
        WS_RECHECK_SECONDS="1",
    ) as running:
        yield running


@pytest.fixture
def sign_in() -> Callable[[User], str]:
    """The session key of a browser in which the person is signed in."""

    def make(user: User) -> str:
        browser = Browser()
        browser.force_login(user, backend=BACKEND)
        key = browser.session.session_key
        assert key is not None
        return key

    return make


@pytest.fixture
def cookie(sign_in: Callable[[User], str], member: User) -> dict[str, str]:
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={sign_in(member)}"}


async def test_a_session_cookie_is_enough(
    site: Server, cookie: dict[str, str], member: User, organization: Organization
) -> None:
    async with open_socket(site.url, additional_headers=cookie) as client:
        greeting = await client.receive()
        assert greeting["event"] == "auth:success"
        assert greeting["data"]["user"]["id"] == str(member.pk)
        assert greeting["data"]["user"]["organization"] == str(organization.pk)
        assert (await client.ask("ping"))["event"] == "pong"


async def test_a_cookie_does_not_open_another_organization(
    site: Server, cookie: dict[str, str], other_organization: Organization
) -> None:
    async with open_socket(
        f"{site.url}?organization={other_organization.slug}", additional_headers=cookie
    ) as client:
        assert (await client.ask("auth", {"token": "nothing"}))["data"]["code"] == "invalid_credential"
        assert (await client.closed())[0] == 4401


async def test_http_is_answered_beside_the_sockets(site: Server) -> None:
    def get() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}/health", timeout=10) as answer:
            status: int = answer.status
            return status

    assert await asyncio.to_thread(get) == 200


def test_a_session_names_its_person(
    sign_in: Callable[[User], str], member: User, organization: Organization
) -> None:
    key = sign_in(member)
    identity = identify_session(key, None)
    assert identity is not None
    assert (identity.user_id, identity.organization_id) == (member.pk, organization.pk)
    assert identity.credential == session_credential(key)
    assert key not in identity.credential


def test_a_session_ends_with_the_password_the_person_and_the_membership(
    sign_in: Callable[[User], str], member: User, make_user: Callable[..., User]
) -> None:
    key = sign_in(member)
    assert identify_session("unknown", None) is None
    member.set_password("a new and long password")
    member.save()
    assert identify_session(key, None) is None
    key = sign_in(member)
    member.is_active = False
    member.save()
    assert identify_session(key, None) is None
    assert identify_session(sign_in(make_user("alone@example.com")), None) is None


def end_session(key: str) -> None:
    """As if the news of the sign-out had been lost: only the row is gone."""
    Session.objects.filter(session_key=key).delete()


def change_password(user: User) -> None:
    user.set_password("a new and long password")
    user.save()


def put_out(user: User) -> None:
    Membership.objects.filter(user=user).update(is_active=False)


async def test_silent_sockets_end_with_what_they_came_with(
    site: Server,
    sign_in: Callable[[User], str],
    make_user: Callable[..., User],
    organization: Organization,
) -> None:
    async def one(end: str, way: str) -> None:
        user = await asyncio.to_thread(make_user, organization=organization)
        key = await asyncio.to_thread(sign_in, user)
        url, headers = site.url, {"Cookie": f"{settings.SESSION_COOKIE_NAME}={key}"}
        if way == "ticket":
            ticket = issue_ticket(
                user.pk, organization.pk, credential=session_credential(key), session_key=key
            )
            url, headers = f"{site.url}?ticket={ticket}", {}
        async with open_socket(url, additional_headers=headers) as client:
            assert (await client.receive())["event"] == "auth:success", (end, way)
            await asyncio.sleep(1.5)  # longer than WS_RECHECK_SECONDS: what is in order stays
            assert (await client.ask("ping"))["event"] == "pong", (end, way)
            if end == "session":
                await asyncio.to_thread(end_session, key)
            else:
                await asyncio.to_thread(change_password if end == "password" else put_out, user)
            assert await client.closed() == (4403, "revoked"), (end, way)

    await asyncio.gather(
        *(one(end, way) for end in ("session", "password", "membership") for way in ("cookie", "ticket"))
    )


async def test_a_ticket_ends_with_its_session(
    site: Server, sign_in: Callable[[User], str], member: User, organization: Organization
) -> None:
    key = await asyncio.to_thread(sign_in, member)
    ticket = issue_ticket(member.pk, organization.pk, session_key=key)
    await asyncio.to_thread(end_session, key)
    async with open_socket(f"{site.url}?ticket={ticket}") as client:
        assert (await client.closed())[0] == 4401
