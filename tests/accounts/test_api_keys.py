"""API keys: what they open, when they stop, and who may make them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import time_machine
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import ApiKey, Organization, User
from accounts.models.organizations import Role
from accounts.services import api_keys
from castcomm.common.clock import now
from castcomm.common.errors import Conflict, InvalidInput

KEYS = "/api/v1/api-keys"
MEMBERS = "/api/v1/members"
Client = Callable[..., APIClient]


def test_a_key_is_shown_once_and_kept_as_a_hash(
    api_client: Client, owner: User, organization: Organization
) -> None:
    client = api_client(owner)
    made = client.post(KEYS, {"name": "shop", "scopes": ["notifications:send", "admin"]})
    assert made.status_code == 201
    plain = made.json()["key"]
    assert plain.startswith(f"cc_{made.json()['prefix']}_")
    assert plain not in client.get(KEYS).content.decode()
    row = ApiKey.objects.get()
    assert plain.split("_", 2)[2] not in row.key_hash
    assert row.created_by == owner
    assert api_client(plain).get(MEMBERS).status_code == 200


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"scopes": ["admin"]}, "name"),
        ({"name": "", "scopes": ["admin"]}, "name"),
        ({"name": "x" * 101, "scopes": ["admin"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["everything"]}, "scopes.0"),
        ({"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "scopes": ["admin"], "expires_at": "soon"}, "expires_at"),
        ({"name": "x", "scopes": ["admin"], "prefix": "mine"}, "prefix"),
    ],
)
def test_wrong_input_names_its_field(api_client: Client, owner: User, body: dict, attr: str) -> None:
    answer = api_client(owner).post(KEYS, body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == attr
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("role", [Role.STAFF, Role.MEMBER])
def test_only_owners_and_admins_manage_keys(
    api_client: Client, make_user: Callable[..., User], organization: Organization, role: str
) -> None:
    client = api_client(make_user(organization=organization, role=role))
    assert client.get(KEYS).status_code == 403
    assert client.post(KEYS, {"name": "x", "scopes": ["admin"]}).status_code == 403


def test_a_key_makes_no_keys(api_client: Client, make_api_key, organization: Organization) -> None:
    _, plain = make_api_key(organization, "admin")
    assert api_client(plain).post(KEYS, {"name": "x", "scopes": ["admin"]}).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    ["cc_", "cc__", "cc_nothere_x", "xx_a_b", "cc_a", "", "cc_é_x", "cc_a_" + "b" * 500, "two words"],
)
def test_what_is_no_key_is_401(api_client: Client, db: None, wrong: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {wrong}")
    answer = client.get(MEMBERS)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["code"] == "authentication_failed"


def test_the_right_prefix_with_a_wrong_secret_is_401(
    api_client: Client, make_api_key, organization: Organization
) -> None:
    key, plain = make_api_key(organization)
    assert api_client(plain[:-1] + ("A" if plain[-1] != "A" else "B")).get(MEMBERS).status_code == 401
    assert api_client(f"cc_{key.prefix}_").get(MEMBERS).status_code == 401


def test_a_revoked_key_stops_at_once(
    api_client: Client, make_api_key, organization: Organization, owner: User
):
    key, plain = make_api_key(organization)
    assert api_client(plain).get(MEMBERS).status_code == 200
    assert api_client(owner).post(f"{KEYS}/{key.id}/revoke").status_code == 200
    assert api_client(plain).get(MEMBERS).status_code == 401
    first = ApiKey.objects.get().revoked_at
    api_client(owner).post(f"{KEYS}/{key.id}/revoke")
    assert ApiKey.objects.get().revoked_at == first


def test_an_expired_key_stops(api_client: Client, make_api_key, organization: Organization) -> None:
    _, plain = make_api_key(organization, expires_at=now() + dt.timedelta(hours=1))
    assert api_client(plain).get(MEMBERS).status_code == 200
    with time_machine.travel(now() + dt.timedelta(hours=2), tick=True):
        assert api_client(plain).get(MEMBERS).status_code == 401


def test_the_key_of_an_inactive_organization_stops(
    api_client: Client, make_api_key, organization: Organization
) -> None:
    _, plain = make_api_key(organization)
    organization.is_active = False
    organization.save()
    assert api_client(plain).get(MEMBERS).status_code == 401


def test_rotation_overlaps(api_client: Client, make_api_key, organization: Organization, owner: User) -> None:
    key, old = make_api_key(organization, "admin", "notifications:send")
    answer = api_client(owner).post(f"{KEYS}/{key.id}/rotate", {"overlap_seconds": 3600})
    assert answer.status_code == 201
    new = answer.json()["key"]
    assert answer.json()["scopes"] == ["notifications:send", "admin"]
    assert [api_client(plain).get(MEMBERS).status_code for plain in (old, new)] == [200, 200]
    with time_machine.travel(now() + dt.timedelta(seconds=3700), tick=True):
        assert [api_client(plain).get(MEMBERS).status_code for plain in (old, new)] == [401, 200]


def test_a_key_that_ended_is_not_rotated(make_api_key, organization: Organization) -> None:
    key, _ = make_api_key(organization)
    api_keys.revoke(key=key)
    with pytest.raises(Conflict):
        api_keys.rotate(key=key)
    with pytest.raises(InvalidInput):
        api_keys.rotate(key=key, overlap=dt.timedelta(days=31))


def test_use_is_noted_once_a_minute_and_costs_one_query(
    api_client: Client, make_api_key, organization: Organization, django_assert_num_queries
) -> None:
    _, plain = make_api_key(organization)
    assert api_keys.authenticate_key(plain) is not None
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        api_keys.authenticate_key(plain)
    assert ApiKey.objects.get().last_used_at == first
    with time_machine.travel(first + dt.timedelta(seconds=61), tick=True):
        api_keys.authenticate_key(plain)
    assert ApiKey.objects.get().last_used_at > first


def test_a_scope_opens_only_what_it_names(
    api_client: Client, make_api_key, organization: Organization
) -> None:
    _, plain = make_api_key(organization, "notifications:send")
    client = api_client(plain)
    answer = client.get(MEMBERS)
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["code"] == "permission_denied"
    assert client.post(MEMBERS, {"email": "n@example.com"}).status_code == 403


def test_a_key_has_no_profile_and_no_inbox(
    api_client: Client, make_api_key, organization: Organization
) -> None:
    _, plain = make_api_key(organization, "admin")
    for address in ("/api/v1/me", "/api/v1/organizations", "/api/v1/auth/ws-ticket"):
        method = "post" if address.endswith("ticket") else "get"
        assert getattr(api_client(plain), method)(address).status_code == 403


def test_finding_the_tenant_costs_one_query(
    api_client: Client, member: User, organization: Organization, django_assert_max_num_queries
) -> None:
    client = api_client(member)
    client.get(MEMBERS)
    # The session, the user, the membership with its organization, and the page itself.
    with django_assert_max_num_queries(4) as captured:
        assert client.get(MEMBERS).status_code == 200
    assert isinstance(captured, CaptureQueriesContext)
