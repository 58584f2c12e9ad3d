"""Signing up and in: the pages, the headless API with its access tokens, and the admin."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.account.signals import password_changed, password_reset, password_set
from allauth.core.context import request_context
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client, RequestFactory

from accounts.allauth_adapters import SocialAccountAdapter
from accounts.events import UserRegistered
from accounts.models import Membership, Organization, User
from accounts.realtime import identify_access_token, resolve_organization
from accounts.services.users import announce_registration, register_user
from castcomm.common import events
from castcomm.realtime import sessions
from castcomm.realtime.auth import may_stay, session_credential
from castcomm.realtime.tickets import redeem_ticket

PASSWORD = "a-long-enough-one"
SIGN_UP = "/_allauth/app/v1/auth/signup"
SIGN_IN = "/_allauth/app/v1/auth/login"

pytestmark = pytest.mark.django_db


@pytest.fixture
def registered() -> list[UserRegistered]:
    heard: list[UserRegistered] = []
    handler = heard.append
    events.subscribe(UserRegistered)(handler)
    yield heard
    events._handlers[UserRegistered].remove(handler)


@pytest.fixture
def verified(make_user: Callable[..., User], organization: Organization) -> User:
    user = make_user("known@example.com", organization=organization, password=PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def post(path: str, body: dict[str, Any], **headers: str) -> Any:
    return Client().post(path, body, content_type="application/json", headers=headers)


def sign_in(user: User) -> str:
    answer = post(SIGN_IN, {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    return answer.json()["meta"]["access_token"]


def confirm(mail: Any) -> int:
    """Follow the link of the mail and say yes; the status of the answer."""
    link = re.search(r"https?://\S+(/accounts/confirm-email/\S+)", mail.body)
    assert link is not None
    return Client().post(link.group(1)).status_code


def test_who_signs_up_belongs_to_the_only_organization(
    organization: Organization, registered: list[UserRegistered], mailoutbox: list[Any]
) -> None:
    answer = post(SIGN_UP, {"email": "New@Example.com", "password": PASSWORD})
    assert answer.status_code == 401, answer.content
    user = User.objects.get(email="new@example.com")
    assert Membership.objects.get(user=user).role == "member"
    assert "new@example.com" in mailoutbox[0].to
    # Anybody can type an address: nothing happens there before its owner says yes.
    assert registered == []
    assert confirm(mailoutbox[0]) == 302
    assert registered == [UserRegistered(user_id=user.id, organization_id=organization.id)]
    confirm(mailoutbox[0])
    assert len(registered) == 1


def test_who_was_registered_by_a_service_is_announced_at_once_and_once(
    organization: Organization, registered: list[UserRegistered]
) -> None:
    user = register_user(email="new@example.com", organization=organization)
    assert len(registered) == 1
    announce_registration(user.id)
    assert len(registered) == 1


def test_an_address_that_somebody_vouches_for_is_announced_at_once(
    organization: Organization, registered: list[UserRegistered]
) -> None:
    request = RequestFactory().get("/")
    request.session = SessionStore()
    account = SocialAccount(provider="github", uid="1")
    address = EmailAddress(email="social@example.com", verified=True, primary=True)
    login = SocialLogin(user=User(email=address.email), account=account, email_addresses=[address])
    with request_context(request):
        user = SocialAccountAdapter(request).save_user(request, login)
    assert registered == [UserRegistered(user_id=user.id, organization_id=organization.id)]


def test_an_address_that_another_service_has_not_checked_waits(
    organization: Organization, registered: list[UserRegistered]
) -> None:
    request = RequestFactory().get("/")
    request.session = SessionStore()
    account = SocialAccount(provider="github", uid="1")
    address = EmailAddress(email="social@example.com", verified=False, primary=True)
    login = SocialLogin(user=User(email=address.email), account=account, email_addresses=[address])
    with request_context(request):
        SocialAccountAdapter(request).save_user(request, login)
    assert registered == []


def test_an_address_must_be_verified_before_signing_in(
    organization: Organization, mailoutbox: list[Any]
) -> None:
    post(SIGN_UP, {"email": "new@example.com", "password": PASSWORD})
    refused = post(SIGN_IN, {"email": "new@example.com", "password": PASSWORD})
    assert refused.status_code == 401
    assert confirm(mailoutbox[0]) == 302
    assert EmailAddress.objects.get(email="new@example.com").verified
    assert sign_in(User.objects.get(email="new@example.com"))


def test_the_named_organization_is_joined(
    make_organization: Callable[..., Organization],
) -> None:
    make_organization("One")
    second = make_organization("Two", open_sign_up=True)
    assert (
        post(f"{SIGN_UP}?organization=two", {"email": "n@example.com", "password": PASSWORD}).status_code
        == 401
    )
    assert Membership.objects.get().organization == second


def test_an_organization_that_is_not_open_cannot_be_joined(
    make_organization: Callable[..., Organization], settings: Any
) -> None:
    make_organization("One")
    make_organization("Two")
    settings.DEFAULT_ORGANIZATION = "one"
    body = {"email": "n@example.com", "password": PASSWORD}
    assert post(f"{SIGN_UP}?organization=two", body).status_code == 403
    assert not User.objects.exists()
    assert post(f"{SIGN_UP}?organization=one", body).status_code == 401
    assert Membership.objects.get().organization.slug == "one"


def test_the_configured_organization_is_joined(
    make_organization: Callable[..., Organization], settings: Any
) -> None:
    make_organization("One")
    second = make_organization("Two")
    settings.DEFAULT_ORGANIZATION = "two"
    post(SIGN_UP, {"email": "n@example.com", "password": PASSWORD})
    assert Membership.objects.get().organization == second


@pytest.mark.parametrize("query", ["", "?organization=nowhere"])
def test_sign_up_is_closed_where_nothing_can_be_joined(
    make_organization: Callable[..., Organization], query: str
) -> None:
    make_organization("One")
    make_organization("Two")
    assert post(SIGN_UP + query, {"email": "n@example.com", "password": PASSWORD}).status_code == 403
    assert not User.objects.exists()


def test_a_weak_password_names_its_field(organization: Organization) -> None:
    answer = post(SIGN_UP, {"email": "n@example.com", "password": "12345"})
    assert answer.status_code == 400
    assert {error["param"] for error in answer.json()["errors"]} == {"password"}
    assert not User.objects.exists()


def test_a_failing_listener_leaves_the_link_working(
    organization: Organization, registered: list[UserRegistered], mailoutbox: list[Any]
) -> None:
    def refuse(event: UserRegistered) -> None:
        raise RuntimeError("no")

    post(SIGN_UP, {"email": "n@example.com", "password": PASSWORD})
    events.subscribe(UserRegistered)(refuse)
    try:
        with pytest.raises(RuntimeError):
            confirm(mailoutbox[0])
    finally:
        events._handlers[UserRegistered].remove(refuse)
    assert not EmailAddress.objects.get().verified
    registered.clear()
    assert confirm(mailoutbox[0]) == 302
    assert len(registered) == 1


def test_signing_up_twice_does_not_tell_that_the_address_is_known(
    verified: User, mailoutbox: list[Any], registered: list[UserRegistered]
) -> None:
    fresh = post(SIGN_UP, {"email": "fresh@example.com", "password": PASSWORD})
    known = post(SIGN_UP, {"email": verified.email, "password": PASSWORD})
    assert fresh.status_code == known.status_code == 401
    assert User.objects.filter(email=verified.email).count() == 1
    assert registered == []


def test_an_access_token_opens_the_api_and_ends_with_its_session(verified: User) -> None:
    token = sign_in(verified)
    bearer = {"Authorization": f"Bearer {token}"}
    answer = Client().get("/api/v1/me", headers=bearer)
    assert answer.status_code == 200
    assert answer.json()["email"] == verified.email
    assert Client().delete("/_allauth/app/v1/auth/session", headers=bearer).status_code == 401
    assert Client().get("/api/v1/me", headers=bearer).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."])
def test_a_made_up_token_is_401(token: str) -> None:
    answer = Client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.json()["type"] == "client_error"


def test_a_token_of_someone_deactivated_is_401(verified: User) -> None:
    token = sign_in(verified)
    User.objects.filter(id=verified.id).update(is_active=False)
    answer = Client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_the_websocket_knows_access_tokens(
    verified: User, organization: Organization, other_organization: Organization
) -> None:
    token = sign_in(verified)
    identity = identify_access_token(token, None)
    assert identity is not None
    assert (identity.user_id, identity.organization_id) == (verified.id, organization.id)
    assert identity.credential.startswith("session:")
    assert identify_access_token(token, organization.slug) == identity
    assert identify_access_token(token, str(organization.id)) == identity
    assert identify_access_token(token, other_organization.slug) is None
    assert identify_access_token("cc_abc_def", None) is None


def test_the_websocket_asks_again_whether_someone_still_belongs(
    verified: User, organization: Organization
) -> None:
    assert resolve_organization(verified.id, None) == organization.id
    Membership.objects.filter(user=verified).update(is_active=False)
    assert resolve_organization(verified.id, None) is None
    assert resolve_organization(verified.id, str(organization.id)) is None


def test_the_session_cookie_needs_the_csrf_token(verified: User, api_client: Callable[..., Any]) -> None:
    client = api_client(verified, enforce_csrf_checks=True)
    answer = client.patch("/api/v1/me", {"first_name": "Forged"})
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["code"] == "permission_denied"
    assert client.get("/api/v1/me").status_code == 200


def test_the_admin_asks_for_sign_in_through_allauth() -> None:
    answer = Client().get("/admin/", follow=False)
    assert answer.status_code == 302
    login = Client().get(answer["Location"])
    assert login.status_code == 302
    assert "/accounts/login/" in login["Location"]


def test_the_admin_takes_no_password_of_its_own(make_user: Callable[..., User]) -> None:
    root = make_user("root@example.com", password=PASSWORD, is_staff=True, is_superuser=True)
    browser = Client()
    browser.post("/admin/login/", {"username": root.email, "password": PASSWORD})
    assert browser.get("/admin/").status_code == 302


@pytest.mark.parametrize("page", ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"])
def test_the_pages_are_there(page: str, organization: Organization) -> None:
    assert Client().get(page).status_code == 200


def test_signing_up_on_the_page_remembers_the_organization(
    make_organization: Callable[..., Organization], mailoutbox: list[Any]
) -> None:
    make_organization("One")
    second = make_organization("Two", open_sign_up=True)
    browser = Client()
    browser.get("/accounts/signup/?organization=two")
    answer = browser.post("/accounts/signup/", {"email": "n@example.com", "password1": PASSWORD})
    assert answer.status_code == 302
    assert Membership.objects.get().organization == second


@pytest.fixture
def revoked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """Whose sockets are ended, and of which session."""
    heard: list[tuple[Any, Any]] = []
    monkeypatch.setattr(
        sessions, "revoke", lambda user_id, *, credential=None: heard.append((user_id, credential))
    )
    return heard


@pytest.mark.parametrize("news", [password_changed, password_set, password_reset])
def test_a_new_password_ends_the_sockets(
    member: User, news: Any, revoked: list[tuple[Any, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        # allauth keeps the list of sessions up to date with this signal, which needs the request.
        request = RequestFactory().get("/")
        request.user, request.session = member, SessionStore()
        with request_context(request):
            news.send(sender=User, request=request, user=member)
    assert (member.pk, None) in revoked


def test_a_session_that_is_ended_in_the_list_ends_its_sockets(
    member: User, revoked: list[tuple[Any, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    session = UserSession.objects.create(user=member, ip="127.0.0.1", session_key="k", user_agent="x")
    with django_capture_on_commit_callbacks(execute=True):
        session.end()
    assert revoked == [(member.pk, session_credential("k"))]


def test_a_ticket_of_an_access_token_ends_with_its_session(verified: User) -> None:
    bearer = {"Authorization": f"Bearer {sign_in(verified)}"}
    answer = Client().post("/api/v1/auth/ws-ticket", headers=bearer)
    identity = redeem_ticket(answer.json()["ticket"])
    assert identity is not None
    assert may_stay(identity)
    Client().delete("/_allauth/app/v1/auth/session", headers=bearer)
    assert not may_stay(identity)
