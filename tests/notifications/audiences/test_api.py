"""Topics, lists and broadcasts over the API, and what a person leaves on record by subscribing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from rest_framework.test import APIClient

from accounts.models import Organization, User
from accounts.services.organizations import create_organization
from castcomm.common.ids import new_id
from notifications.models import (
    Broadcast,
    ConsentRecord,
    Delivery,
    EventType,
    ListMember,
    Notification,
    RecipientList,
    Topic,
    TopicSubscription,
)
from notifications.services import fanout, preference_links
from notifications.services.sending import send_notification

from ..test_api import errors

API = "/api/v1/"
ApiClient = Callable[..., APIClient]


@pytest.fixture
def client(api_client: ApiClient, member: User) -> APIClient:
    return api_client(member)


@pytest.fixture
def server(api_client: ApiClient, make_api_key: Any, organization: Organization) -> APIClient:
    _, plain = make_api_key(organization, "notifications:send", "notifications:read")
    return api_client(plain)


def call(client: APIClient, method: str, address: str, body: Any = None, status: int = 200) -> Any:
    answer = client.generic(
        method,
        f"{API}{address}",
        b"" if body is None else orjson.dumps(body),
        content_type="application/json",
    )
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


def test_topics_are_made_changed_and_deleted_by_staff_and_servers(
    server: APIClient, client: APIClient
) -> None:
    made = call(server, "POST", "topics", {"key": "weekly", "name": "Weekly"}, 201)
    assert made == {"key": "weekly", "name": "Weekly", "description": "", "is_open": True, "subscribed": None}
    for body, wrong in (
        ({"key": "weekly", "name": "Again"}, {"key": "key_taken"}),
        ({"key": "No Spaces", "name": "x"}, {"key": "invalid"}),
        ({"key": "x"}, {"name": "required"}),
        ({"key": "x", "name": "x", "open": True}, {"open": "unknown_field"}),
    ):
        answer = server.post(f"{API}topics", body, format="json")
        assert errors(answer, 409 if "key_taken" in wrong.values() else 400) == wrong
    changed = call(server, "PATCH", "topics/weekly", {"is_open": False, "description": "All that happened"})
    assert (changed["is_open"], changed["subscribers"]) == (False, 0)
    assert call(server, "GET", "topics")["results"][0]["is_open"] is False
    assert call(client, "GET", "topics")["results"] == []
    for method, address in (("POST", "topics"), ("PATCH", "topics/weekly"), ("DELETE", "topics/weekly")):
        call(client, method, address, {"key": "a", "name": "a"}, 403)
    call(server, "DELETE", "topics/weekly", status=204)
    call(server, "GET", "topics/weekly", status=404)


def test_a_person_subscribes_and_leaves_and_each_is_on_record(
    client: APIClient, api_client: ApiClient, member: User, organization: Organization
) -> None:
    topic = Topic.objects.create(
        organization=organization, key="weekly", name="Weekly", description="What is new"
    )
    for _ in range(2):
        assert call(client, "PUT", "topics/weekly/subscription") == {"subscribed": True}
    assert call(client, "GET", "topics")["results"][0]["subscribed"] is True
    topic.is_open = False
    topic.save()
    assert call(client, "GET", "topics")["results"][0]["subscribed"] is True  # who is in it sees it
    token = preference_links.make(organization.id, member.id, _a_delivery(organization, member))
    by_link = api_client()
    by_link.credentials(HTTP_AUTHORIZATION=f"Preferences {token}")
    for _ in range(2):
        assert call(by_link, "DELETE", "topics/weekly/subscription") == {"subscribed": False}
    assert errors(client.put(f"{API}topics/weekly/subscription"), 403) == {None: "topic_closed"}
    call(by_link, "PATCH", "topics/weekly", {"name": "Mine"}, 401)
    records = ConsentRecord.objects.order_by("id").values_list("scope", "key", "granted", "source", "wording")
    assert list(records) == [
        ("topic", "weekly", True, "signed_in", "Weekly: What is new"),
        ("topic", "weekly", False, "signed_link", "Weekly: What is new"),
    ]


def _a_delivery(organization: Organization, user: User) -> Any:
    sent = send_notification(
        organization=organization, recipients=[user], content={"title": "x", "body": "x"}
    )
    return Delivery.objects.get(notification=sent.notifications[0].id, channel="email").id


def test_a_server_subscribes_many_or_none(
    server: APIClient, member: User, owner: User, organization: Organization
) -> None:
    Topic.objects.create(organization=organization, key="weekly", name="Weekly", is_open=False)
    stranger = User.objects.create_user("stranger@example.com")
    address = "topics/weekly/subscribers"
    for people, attr in (
        ([str(member.id), str(stranger.id)], "people.1"),
        ([member.email, "nobody@example.com"], "people.1"),
        (["???"], "people.0"),
    ):
        assert list(errors(server.put(f"{API}{address}", {"people": people}, format="json"))) == [attr]
    assert not TopicSubscription.objects.exists()
    both = {"people": [str(member.id), owner.email.upper(), member.email]}
    assert call(server, "PUT", address, both) == {"changed": 2}
    assert call(server, "PUT", address, both) == {"changed": 0}
    rows = call(server, "GET", address)["results"]
    assert {row["email"] for row in rows} == {member.email, owner.email}
    assert call(server, "DELETE", address, {"people": [owner.email]}) == {"changed": 1}
    told = ConsentRecord.objects.order_by("id").values_list("user__email", "granted", "source")
    assert sorted(told[:2]) == sorted([(member.email, True, "api"), (owner.email, True, "api")])
    assert told[2] == (owner.email, False, "api")


def test_lists_take_people_and_addresses_once_each(
    server: APIClient, member: User, organization: Organization
) -> None:
    call(server, "POST", "lists", {"key": "press", "name": "Press"}, 201)
    entries = [str(member.id), member.email, "a@example.com", "A@example.com", {"phone": "+12025550123"}]
    assert call(server, "POST", "lists/press/members", {"members": entries}) == {"changed": 3}
    assert call(server, "POST", "lists/press/members", {"members": entries}) == {"changed": 0}
    rows = call(server, "GET", "lists/press/members")["results"]
    assert {row["email"] or row["address"] for row in rows} == {member.email, "a@example.com", "+12025550123"}
    for wrong in ([str(new_id())], ["nonsense"], [{"topic": "x"}]):
        answer = server.post(
            f"{API}lists/press/members", {"members": ["b@example.com", *wrong]}, format="json"
        )
        assert list(errors(answer)) == ["members.1"]
    csv = "Email;Name\nc@example.com;C\nnot one;D\n\na@example.com;A\n"
    told = server.generic("POST", f"{API}lists/press/import", csv, content_type="text/csv").json()
    assert (told["added"], told["unchanged"], told["refused"]) == (1, 1, 1)
    assert [(one["row"], one["attr"]) for one in told["errors"]] == [(3, "address")]
    assert call(server, "GET", "lists")["results"][0]["members"] == 4
    assert call(server, "DELETE", "lists/press/members", {"members": entries}) == {"changed": 3}
    assert ListMember.objects.count() == 1


def test_a_broadcast_over_the_api(
    server: APIClient, client: APIClient, member: User, organization: Organization, news: EventType
) -> None:
    made = RecipientList.objects.create(organization=organization, key="press", name="Press")
    ListMember.objects.create(list=made, user=member)
    body = {"event_type": "news", "recipients": [{"list": "press"}, {"role": "member"}]}
    answers = [
        server.post(f"{API}broadcasts", body, format="json", headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert [one.status_code for one in answers] == [202, 202]
    broadcast = answers[1].json()
    assert (broadcast["total"], broadcast["status"], broadcast["percent"]) == (1, "fanning_out", 0)
    assert Broadcast.objects.count() == 1
    call(server, "DELETE", "lists/press", status=409)
    one = f"broadcasts/{broadcast['id']}"
    assert call(server, "POST", f"{one}/pause") == {"deliveries": 0}
    assert call(server, "GET", one)["status"] == "paused"
    assert call(server, "POST", f"{one}/resume") == {"deliveries": 0}
    fanout.run()
    detail = call(server, "GET", one)
    assert (detail["status"], detail["percent"], detail["written"]) == ("done", 100, 1)
    assert detail["deliveries"] == {"email": {"pending": 1}, "in_app": {"delivered": 1}}
    assert call(server, "POST", f"{one}/cancel") == {"deliveries": 1}
    call(server, "POST", f"{one}/resume", status=409)
    assert [row["status"] for row in call(server, "GET", "broadcasts")["results"]] == ["cancelled"]
    for recipients, attr in (([str(member.id)], "recipients"), ([{"list": "none"}], "recipients.0")):
        answer = server.post(f"{API}broadcasts", {**body, "recipients": recipients}, format="json")
        assert list(errors(answer)) == [attr]
    call(client, "GET", "broadcasts", status=403)
    call(client, "POST", f"{one}/pause", status=403)
    assert Notification.objects.count() == 1


def test_groups_of_another_organization_are_not_found(server: APIClient, member: User) -> None:
    elsewhere = create_organization(name="Elsewhere")
    Topic.objects.create(organization=elsewhere, key="theirs", name="Theirs")
    RecipientList.objects.create(organization=elsewhere, key="theirs", name="Theirs")
    for address in ("topics/theirs", "topics/theirs/subscribers", "lists/theirs", "lists/theirs/members"):
        call(server, "GET", address, status=404)
    call(server, "POST", "lists/theirs/members", {"members": [str(member.id)]}, 404)
    call(server, "POST", f"broadcasts/{new_id()}/pause", status=404)


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"tags": ["Fine", "x"]}, "tags.0"),
        ({"tags": "x"}, "tags"),
        ({"scheduled_local": "2027-01-01"}, "scheduled_local"),
        ({"scheduled_local": "2027-01-01T09:00", "scheduled_for": "2027-01-01T09:00:00Z"}, "scheduled_local"),
        ({"content": {"title": "x", "actions": [{"key": "a"}]}}, "content.actions.0.label"),
        ({"content": {"title": "x", "actions": [{"key": "A", "label": "x"}]}}, "content.actions.0.key"),
        ({"content": {"title": "x", "actions": [{"key": "a", "label": "x", "to": "y"}]}}, "content.actions.0.to"),
        ({"content": {"title": "x", "actions": [{"key": "a", "label": "x"}] * 2}}, "content.actions"),
        ({"content": {"title": 7}}, "content.title"),
    ],
)  # fmt: skip
def test_what_is_new_in_a_call_is_checked(
    server: APIClient, member: User, news: EventType, fields: dict[str, Any], attr: str
) -> None:
    body = {"event_type": "news", "recipients": [str(member.id)], **fields}
    assert list(errors(server.post(f"{API}notifications", body, format="json"))) == [attr]
    assert not Notification.objects.exists()
