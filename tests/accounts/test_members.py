"""Profiles and members: who sees what, and who may change whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from accounts.models import Membership, Organization, User
from accounts.models.organizations import Role
from accounts.selectors import members_by_role, organizations_of
from accounts.services.organizations import add_member, create_organization
from accounts.services.users import register_user, set_attributes
from castcomm.common.errors import Conflict, InvalidInput
from castcomm.realtime.tickets import redeem_ticket

ME, MEMBERS = "/api/v1/me", "/api/v1/members"
Client = Callable[..., APIClient]


def test_a_person_changes_their_own_profile(api_client: Client, member: User) -> None:
    answer = api_client(member).patch(
        ME,
        {"first_name": " Anna ", "phone": "+1 (202) 555-0123", "time_zone": "Asia/Tokyo", "locale": "pt_BR"},
    )
    assert answer.status_code == 200
    said = answer.json()
    assert (said["first_name"], said["phone"]) == ("Anna", "+12025550123")
    assert (said["time_zone"], said["locale"]) == ("Asia/Tokyo", "pt-BR")
    assert said["organizations"][0]["slug"] == "first"


@pytest.mark.parametrize("field", ["email", "attributes", "is_staff", "id"])
def test_what_is_not_theirs_to_change_is_refused(api_client: Client, member: User, field: str) -> None:
    answer = api_client(member).patch(ME, {field: "x"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == field


def test_someone_of_several_organizations_names_one(
    api_client: Client, member: User, other_organization: Organization
) -> None:
    add_member(organization=other_organization, user=member, domain_role="GUEST")
    client = api_client(member)
    answer = client.get(MEMBERS)
    assert answer.status_code == 400
    assert answer.json()["errors"][0] == {
        "code": "organization_required",
        "detail": "This account belongs to several organizations; name one in X-Organization.",
        "attr": "X-Organization",
    }
    assert {row["slug"] for row in client.get("/api/v1/organizations").json()["results"]} == {
        "first",
        "second",
    }
    for name in ("second", str(other_organization.id)):
        rows = client.get(MEMBERS, headers={"X-Organization": name}).json()["results"]
        assert [row["domain_role"] for row in rows] == ["GUEST"]


def test_someone_of_no_organization_is_refused(api_client: Client, make_user: Callable[..., User]) -> None:
    client = api_client(make_user())
    answer = client.get(MEMBERS)
    assert answer.status_code == 403
    assert client.get(ME).json()["organizations"] == []


def test_members_see_names_and_staff_see_addresses(
    api_client: Client, member: User, staff: User, organization: Organization
) -> None:
    seen = api_client(member).get(MEMBERS).json()["results"]
    assert {frozenset(row) for row in seen} == {frozenset({"id", "display_name", "domain_role"})}
    assert "member@example.com" in {row["email"] for row in api_client(staff).get(MEMBERS).json()["results"]}


def test_members_are_searched_and_paged(
    api_client: Client, member: User, make_user: Callable[..., User], organization: Organization
) -> None:
    for number in range(5):
        make_user(organization=organization, domain_role="ACTOR", first_name=f"Actor {number}")
    client = api_client(member)
    page = client.get(MEMBERS, {"domain_role": "ACTOR", "limit": 2}).json()
    assert len(page["results"]) == 2
    assert page["previous"] is None
    following = client.get(page["next"]).json()
    assert not {row["id"] for row in page["results"]} & {row["id"] for row in following["results"]}
    assert [row["display_name"] for row in client.get(MEMBERS, {"search": "actor 3"}).json()["results"]] == [
        "Actor 3"
    ]
    assert client.get(MEMBERS, {"search": "example.com"}).json()["results"] == []


def test_staff_add_someone_new_and_someone_known(
    api_client: Client, staff: User, other_organization: Organization, make_user: Callable[..., User]
) -> None:
    known = make_user("known@example.com", organization=other_organization, first_name="Known")
    client = api_client(staff)
    new = {"email": "New@example.com", "domain_role": "ACTOR", "attributes": {"profile_completion": 10}}
    assert client.post(MEMBERS, new).status_code == 201
    assert User.objects.get(email="new@example.com").attributes == {"profile_completion": 10}
    added = client.post(MEMBERS, {"email": "known@example.com", "first_name": "Stolen"})
    assert added.status_code == 201
    # Adding an address does not tell whose it is.
    assert added.json()["display_name"] == added.json()["email"] == "known@example.com"
    assert "Known" not in added.content.decode()
    known.refresh_from_db()
    assert known.first_name == "Known"
    again = client.post(MEMBERS, {"email": "known@example.com"})
    assert again.status_code == 409
    assert again.json()["errors"][0]["code"] == "already_member"


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": "n@example.com", "role": "king"}, "role"),
        ({"email": "n@example.com", "domain_role": "x" * 51}, "domain_role"),
        ({"email": "n@example.com", "phone": "123"}, "phone"),
        ({"email": "n@example.com", "attributes": [1]}, "attributes"),
        ({"email": "n@example.com", "attributes": {"x" * 101: 1}}, "attributes"),
        ({"email": "n@example.com", "nickname": "n"}, "nickname"),
    ],
)
def test_wrong_input_names_its_field_and_makes_nobody(
    api_client: Client, staff: User, body: dict, attr: str
) -> None:
    answer = api_client(staff).post(MEMBERS, body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"].startswith(attr)
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("caller", "granted", "status"),
    [
        (Role.STAFF, Role.MEMBER, 201),
        (Role.STAFF, Role.STAFF, 403),
        (Role.ADMIN, Role.ADMIN, 201),
        (Role.ADMIN, Role.OWNER, 403),
        (Role.OWNER, Role.OWNER, 201),
        (Role.MEMBER, Role.MEMBER, 403),
    ],
)
def test_nobody_grants_more_than_they_have(
    api_client: Client,
    make_user: Callable[..., User],
    organization: Organization,
    caller: str,
    granted: str,
    status: int,
) -> None:
    client = api_client(make_user(organization=organization, role=caller))
    assert client.post(MEMBERS, {"email": "n@example.com", "role": granted}).status_code == status


def test_the_last_owner_stays(
    api_client: Client, owner: User, make_user: Callable[..., User], organization: Organization
) -> None:
    client = api_client(owner)
    for change in ({"role": "member"}, {"is_active": False}):
        answer = client.patch(f"{MEMBERS}/{owner.id}", change)
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["code"] == "last_owner"
    make_user(organization=organization, role=Role.OWNER)
    assert client.patch(f"{MEMBERS}/{owner.id}", {"role": "member"}).status_code == 200


def test_staff_cannot_touch_an_owner(api_client: Client, staff: User, owner: User) -> None:
    assert api_client(staff).patch(f"{MEMBERS}/{owner.id}", {"is_active": False}).status_code == 403
    assert api_client(staff).patch(f"{MEMBERS}/{staff.id}", {"role": "owner"}).status_code == 403


def test_a_member_who_was_put_out_is_out(api_client: Client, owner: User, member: User) -> None:
    client = api_client(member)
    assert client.get(MEMBERS).status_code == 200
    assert api_client(owner).patch(f"{MEMBERS}/{member.id}", {"is_active": False}).status_code == 200
    assert client.get(MEMBERS).status_code == 403
    assert list(organizations_of(member)) == []


def test_attributes_are_merged_and_only_for_one_s_own(
    api_client: Client, staff: User, member: User, other_organization: Organization
) -> None:
    set_attributes(user=member, attributes={"a": 1, "b": 2})
    client = api_client(staff)
    assert client.patch(f"{MEMBERS}/{member.id}", {"attributes": {"b": None, "c": 3}}).status_code == 200
    member.refresh_from_db()
    assert member.attributes == {"a": 1, "c": 3}
    add_member(organization=other_organization, user=member)
    refused = client.patch(f"{MEMBERS}/{member.id}", {"attributes": {"a": 9}, "domain_role": "X"})
    assert refused.status_code == 409
    assert Membership.objects.get(user=member, organization__slug="first").domain_role == ""


def test_a_ticket_opens_one_socket(api_client: Client, member: User, organization: Organization) -> None:
    answer = api_client(member).post("/api/v1/auth/ws-ticket")
    assert answer.status_code == 201
    assert answer.json()["expires_in"] == 30
    identity = redeem_ticket(answer.json()["ticket"])
    assert identity is not None
    assert (identity.user_id, identity.organization_id) == (member.id, organization.id)
    assert identity.credential.startswith("session:")
    assert redeem_ticket(answer.json()["ticket"]) is None


def test_registering_twice_is_a_conflict_that_leaves_one(organization: Organization) -> None:
    register_user(email="a@example.com", organization=organization)
    with pytest.raises(Conflict) as conflict:
        register_user(email=" A@Example.com ", organization=organization)
    assert conflict.value.attr == "email"
    assert User.objects.count() == Membership.objects.count() == 1


def test_a_weak_password_registers_nobody(organization: Organization) -> None:
    with pytest.raises(InvalidInput) as refused:
        register_user(email="a@example.com", organization=organization, password="password")
    assert refused.value.attr == "password"
    assert not User.objects.exists()


def test_a_new_person_takes_the_organization_s_defaults(
    make_organization: Callable[..., Organization],
) -> None:
    organization = make_organization("Home", time_zone="Asia/Kolkata", locale="hi")
    user = register_user(email="a@example.com", organization=organization, domain_role="ACTOR")
    assert (user.time_zone, user.locale) == ("Asia/Kolkata", "hi")
    assert [row.user for row in members_by_role(organization, domain_role="ACTOR")] == [user]


def test_a_taken_slug_is_a_conflict(organization: Organization) -> None:
    with pytest.raises(Conflict) as conflict:
        create_organization(name="Another", slug=organization.slug)
    assert conflict.value.attr == "slug"
    for name, slug in (("", "x"), ("x" * 201, "x"), ("Name", "Not A Slug"), ("...", "")):
        with pytest.raises(InvalidInput):
            create_organization(name=name, slug=slug)
