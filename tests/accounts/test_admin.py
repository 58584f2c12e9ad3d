"""The admin: staff see and change what belongs to the organizations they work for, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.admin.tenancy import TenantScopeMixin, choices_for
from accounts.models import ApiKey, Membership, Organization, User
from accounts.models.organizations import Role
from accounts.services.api_keys import authenticate_key, create_api_key
from accounts.services.organizations import add_member
from castcomm.admin_navigation import navigation
from castcomm.realtime import sessions
from tests.conftest import BACKEND
from tests.tenancy_rows import MARK, ROWS, Foreign


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def root(make_user: Callable[..., User]) -> Client:
    return sign_in(make_user("root@example.com", is_staff=True, is_superuser=True))


@pytest.fixture
def worker(make_user: Callable[..., User], organization: Organization) -> Client:
    """An admin of the first organization who is no superuser."""
    return sign_in(make_user("worker@example.com", organization=organization, role=Role.ADMIN, is_staff=True))


@pytest.fixture
def foreign(other_organization: Organization, make_user: Callable[..., User]) -> Foreign:
    first, second = (
        make_user(organization=other_organization, role=Role.OWNER, first_name=MARK) for _ in range(2)
    )
    return Foreign(organization=other_organization, user=first, second_user=second)


def lists() -> list[str]:
    return [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry]


@pytest.mark.parametrize("address", sorted(lists()))
def test_every_list_opens_for_a_superuser(address: str, root: Client, foreign: Foreign) -> None:
    for maker in ROWS.values():
        maker(foreign)
    assert root.get(address).status_code == 200


def test_every_list_of_a_tenant_is_scoped(worker: Client, foreign: Foreign) -> None:
    for maker in ROWS.values():
        maker(foreign)
    ours = {"accounts", "notifications", "messaging", "workflows"}
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label not in ours:
            continue
        assert isinstance(model_admin, TenantScopeMixin), f"{model.__name__}'s admin is not scoped"
        answer = worker.get(f"/admin/{model._meta.app_label}/{model._meta.model_name}/")
        assert answer.status_code in {200, 403}
        assert MARK.encode() not in answer.content, model
        row = model._default_manager.order_by("pk").last()
        if row is not None and not model_admin.get_queryset(answer.wsgi_request).filter(pk=row.pk).exists():
            page = worker.get(f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/change/")
            assert page.status_code in {302, 403, 404}, model
            assert MARK.encode() not in page.content, model


def test_a_member_who_works_for_nobody_sees_nothing(
    make_user: Callable[..., User], organization: Organization
):
    client = sign_in(make_user(organization=organization, is_staff=True))
    assert client.get("/admin/accounts/user/").status_code == 403
    assert client.get("/admin/accounts/apikey/").status_code == 403


def test_only_a_superuser_changes_accounts(worker: Client, member: User) -> None:
    page = worker.get(f"/admin/accounts/user/{member.id}/change/")
    assert page.status_code == 200
    assert b"MD5" not in page.content
    assert b"md5" not in page.content
    answer = worker.post(f"/admin/accounts/user/{member.id}/change/", {"is_superuser": "on"})
    assert answer.status_code == 403
    assert worker.get("/admin/accounts/user/add/").status_code == 403
    assert worker.get(f"/admin/accounts/user/{member.id}/password/").status_code == 403


def test_an_admin_makes_no_owner(worker: Client, member: User, organization: Organization) -> None:
    row = Membership.objects.get(user=member)
    address = f"/admin/accounts/membership/{row.id}/change/"
    body = {"role": "owner", "domain_role": "", "is_active": "on"}
    assert worker.post(address, body).status_code == 200
    row.refresh_from_db()
    assert row.role == Role.MEMBER
    assert worker.post(address, {**body, "role": "staff"}).status_code == 302
    row.refresh_from_db()
    assert row.role == Role.STAFF


def test_an_admin_does_not_touch_an_owner(worker: Client, owner: User) -> None:
    row = Membership.objects.get(user=owner)
    answer = worker.post(
        f"/admin/accounts/membership/{row.id}/change/", {"role": "member", "is_active": "on"}
    )
    assert answer.status_code == 403


def test_a_key_made_in_the_admin_works_and_is_shown_once(worker: Client, organization: Organization) -> None:
    answer = worker.post(
        "/admin/accounts/apikey/add/",
        {
            "organization": str(organization.id),
            "name": "shop",
            "scopes": ["admin", "notifications:send"],
            "expires_at_0": "",
            "expires_at_1": "",
        },
        follow=True,
    )
    assert answer.status_code == 200
    shown = re.search(r"cc_[0-9a-z]+_[\w\-]+", answer.content.decode())
    assert shown is not None
    key = authenticate_key(shown.group())
    assert key is not None
    assert key.scopes == ["notifications:send", "admin"]
    assert shown.group() not in worker.get("/admin/accounts/apikey/").content.decode()


def test_a_key_for_another_organization_is_not_made(worker: Client, other_organization: Organization) -> None:
    body = {"organization": str(other_organization.id), "name": "x", "scopes": ["admin"]}
    assert worker.post("/admin/accounts/apikey/add/", body).status_code == 200
    assert not ApiKey.objects.exists()


def test_keys_are_rotated_and_revoked_only_by_post(worker: Client, organization: Organization) -> None:
    key, old = create_api_key(organization=organization, name="x", scopes=["admin"])
    for act in ("rotate", "revoke"):
        assert worker.get(f"/admin/accounts/apikey/{key.id}/{act}/").status_code == 200
    assert ApiKey.objects.count() == 1
    assert (
        worker.post(f"/admin/accounts/apikey/{key.id}/rotate/", {"_form_submitted": "on"}).status_code == 302
    )
    assert ApiKey.objects.count() == 2
    assert (
        worker.post(f"/admin/accounts/apikey/{key.id}/revoke/", {"_form_submitted": "on"}).status_code == 302
    )
    assert authenticate_key(old) is None


def test_a_foreign_key_is_neither_rotated_nor_revoked(worker: Client, foreign: Foreign) -> None:
    for act in ("rotate", "revoke"):
        address = f"/admin/accounts/apikey/{foreign.api_key.id}/{act}/"
        assert worker.post(address, {"_form_submitted": "on"}).status_code in {403, 404}
    foreign.api_key.refresh_from_db()
    assert foreign.api_key.revoked_at is None
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("name", ["user", "membership", "organization", "apikey"])
def test_a_longer_list_asks_no_more_of_the_database(
    name: str, root: Client, make_user: Callable[..., User], organization: Organization
) -> None:
    def fill(count: int) -> None:
        for _ in range(count):
            make_user(organization=organization)
            create_api_key(organization=organization, name="x", scopes=["admin"])

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert root.get(f"/admin/accounts/{name}/").status_code == 200
        return len(captured)

    fill(2)
    queries()
    few = queries()
    fill(10)
    assert queries() == few


def test_the_sidebar_shows_what_may_be_seen(worker: Client, root: Client) -> None:
    def titles(client: Client) -> list[str]:
        return [group["title"] for group in navigation(client.get("/admin/").wsgi_request)]

    assert "People" in titles(worker)
    assert "Maintenance" not in titles(worker)
    assert titles(root)[-1] == "Maintenance"


@pytest.fixture
def owner_elsewhere(
    make_user: Callable[..., User], organization: Organization, other_organization: Organization
) -> User:
    """Owner of the second organization, and only an admin in the first."""
    user = make_user("two@example.com", organization=organization, role=Role.ADMIN, is_staff=True)
    add_member(organization=other_organization, user=user, role=Role.OWNER)
    return user


def test_an_owner_elsewhere_makes_no_owner_here(
    owner_elsewhere: User, organization: Organization, other_organization: Organization
) -> None:
    client = sign_in(owner_elsewhere)
    row = Membership.objects.get(user=owner_elsewhere, organization=organization)
    body = {"role": "owner", "domain_role": "", "is_active": "on"}
    page = client.post(f"/admin/accounts/membership/{row.id}/change/", body)
    assert page.status_code == 200
    row.refresh_from_db()
    assert row.role == Role.ADMIN
    colleague = add_member(organization=other_organization, user=User.objects.create_user("c@example.com"))
    assert client.post(f"/admin/accounts/membership/{colleague.id}/change/", body).status_code == 302
    colleague.refresh_from_db()
    assert colleague.role == Role.OWNER


def test_an_admin_elsewhere_makes_no_key_where_they_are_staff(
    worker: Client, other_organization: Organization
) -> None:
    user = User.objects.get(email="worker@example.com")
    add_member(organization=other_organization, user=user, role=Role.STAFF)
    body = {"organization": str(other_organization.id), "name": "x", "scopes": ["admin"]}
    assert worker.post("/admin/accounts/apikey/add/", body).status_code == 200
    assert not ApiKey.objects.exists()
    offered = worker.get("/admin/accounts/apikey/add/").content.decode()
    assert str(other_organization.id) not in offered


def test_a_row_is_saved_only_where_its_organization_allows_it(
    worker: Client, other_organization: Organization
) -> None:
    user = User.objects.get(email="worker@example.com")
    add_member(organization=other_organization, user=user, role=Role.STAFF)
    request = worker.get("/admin/").wsgi_request
    with pytest.raises(PermissionDenied):
        admin.site._registry[ApiKey].check_may_save(request, ApiKey(organization=other_organization))


def test_the_last_owner_stays_in_the_admin_too(
    root: Client, owner: User, django_capture_on_commit_callbacks: Any
) -> None:
    row = Membership.objects.get(user=owner)
    address = f"/admin/accounts/membership/{row.id}"
    for body in (
        {"role": "member", "domain_role": "", "is_active": "on"},
        {"role": "owner", "domain_role": ""},
    ):
        answer = root.post(f"{address}/change/", body, follow=True)
        assert "keeps at least one owner" in answer.content.decode()
    answer = root.post(f"{address}/delete/", {"post": "yes"}, follow=True)
    assert "keeps at least one owner" in answer.content.decode()
    chosen = {"action": "delete_selected", "_selected_action": [str(row.id)], "post": "yes"}
    answer = root.post("/admin/accounts/membership/", chosen, follow=True)
    assert "keeps at least one owner" in answer.content.decode()
    row.refresh_from_db()
    assert (row.role, row.is_active) == (Role.OWNER, True)


@pytest.mark.parametrize("way", ["change", "delete", "delete_selected"])
def test_who_is_put_out_in_the_admin_loses_their_sockets(
    worker: Client,
    member: User,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    revoked: list[object] = []
    monkeypatch.setattr(sessions, "revoke", lambda user_id, **_: revoked.append(user_id))
    row = Membership.objects.get(user=member)
    address = f"/admin/accounts/membership/{row.id}"
    with django_capture_on_commit_callbacks(execute=True):
        if way == "change":
            worker.post(f"{address}/change/", {"role": "member", "domain_role": ""})
        elif way == "delete":
            worker.post(f"{address}/delete/", {"post": "yes"})
        else:
            chosen = {"action": "delete_selected", "_selected_action": [str(row.id)], "post": "yes"}
            worker.post("/admin/accounts/membership/", chosen)
    row.refresh_from_db()
    assert not row.is_active
    assert revoked == [member.id]


def test_a_superuser_adds_a_member(root: Client, organization: Organization) -> None:
    user = User.objects.create_user("new@example.com")
    body = {
        "user": str(user.id), "organization": str(organization.id), "role": "owner", "domain_role": "ACTOR",
        "is_active": "on",
    }  # fmt: skip
    assert root.post("/admin/accounts/membership/add/", body).status_code == 302
    row = Membership.objects.get(user=user)
    assert (row.role, row.domain_role, row.is_active) == (Role.OWNER, "ACTOR", True)


def test_the_facts_of_a_shared_account_are_not_shown(
    worker: Client,
    make_user: Callable[..., User],
    organization: Organization,
    other_organization: Organization,
) -> None:
    facts = {"phone": "+12025550123", "attributes": {"fact": "private-fact"}}
    own = make_user("own@example.com", organization=organization, **facts)
    shared = make_user("shared@example.com", organization=organization, **facts)
    add_member(organization=other_organization, user=shared)
    seen = worker.get(f"/admin/accounts/user/{own.id}/change/").content.decode()
    assert "private-fact" in seen
    seen = worker.get(f"/admin/accounts/user/{shared.id}/change/").content.decode()
    assert "shared@example.com" in seen
    for private in ("private-fact", "2025550123", "Last login", "may use the admin", "Second"):
        assert private not in seen
    for question in ("is_superuser__exact=1", "attributes__fact=private-fact"):
        assert worker.get(f"/admin/accounts/user/?{question}").status_code == 400


def test_who_was_put_out_is_neither_seen_nor_offered(
    worker: Client, member: User, organization: Organization
) -> None:
    request = worker.get("/admin/").wsgi_request
    offered = choices_for(User, request)
    assert offered is not None
    assert offered.filter(pk=member.pk).exists()
    Membership.objects.filter(user=member).update(is_active=False)
    assert not choices_for(User, request).filter(pk=member.pk).exists()
    assert worker.get(f"/admin/accounts/user/{member.id}/change/").status_code == 302
    assert member.email not in worker.get("/admin/accounts/user/").content.decode()
