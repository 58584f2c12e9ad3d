"""The REST interface: each address does what it says, and what is wrong is named in the one error shape."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.ids import new_id
from notifications.api import sending_views
from notifications.models import Delivery, EventType, Notification, NotificationRequest, Template
from notifications.services.sending import SendResult

from .conftest import states
from .smtp_server import SmtpServer

API = "/api/v1/"
Send = Callable[..., SendResult]


@pytest.fixture
def client(api_client: Callable[..., APIClient], member: User) -> APIClient:
    return api_client(member)


@pytest.fixture
def sender(api_client: Callable[..., APIClient], make_api_key: Any, organization: Organization) -> APIClient:
    """A program with a key that may send and nothing else."""
    _, plain = make_api_key(organization, "notifications:send")
    return api_client(plain)


@pytest.fixture
def staff_client(api_client: Callable[..., APIClient], staff: User) -> APIClient:
    return api_client(staff)


def errors(answer: Any, status: int = 400) -> dict[str | None, str]:
    """Field to code, after a look at the shape."""
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert set(body) == {"type", "errors"}
    for one in body["errors"]:
        assert set(one) == {"code", "detail", "attr"}
        assert one["detail"]
    return {one["attr"]: one["code"] for one in body["errors"]}


def test_send_and_see_what_became_of_it(
    sender: APIClient,
    staff_client: APIClient,
    client: APIClient,
    news: EventType,
    member: User,
    mail: SmtpServer,
    drain: Any,
) -> None:
    answer = sender.post(
        API + "notifications", {"event_type": "news", "recipients": [str(member.id)], "data": {"a": 1}}
    )
    assert answer.status_code == 202, answer.content
    body = answer.json()
    [sent] = body["notifications"]
    assert (body["duplicate"], body["recipient_count"], sent["recipient"]) == (False, 1, str(member.id))
    drain()
    status = staff_client.get(f"{API}notifications/{sent['id']}/status").json()
    assert {one["channel"]: one["status"] for one in status["deliveries"]} == {
        "email": "sent",
        "in_app": "delivered",
    }
    explained = staff_client.get(f"{API}notifications/{sent['id']}/explain").json()
    by_channel = {one["channel"]: one for one in explained["channels"]}
    assert by_channel["sms"]["status"] == "not_used"
    assert by_channel["email"]["attempts"][0]["outcome"] == "sent"
    assert explained["source"] == "api"
    assert client.get(f"{API}notifications/{sent['id']}").status_code == 200
    [row] = client.get(API + "notifications/").json()["results"]
    assert (row["id"], row["data"], row["read_at"], row["priority"]) == (sent["id"], {"a": 1}, None, "normal")


def test_what_a_provider_said_is_not_for_the_recipient(
    send: Send,
    staff_client: APIClient,
    client: APIClient,
    news: EventType,
    member: User,
    mail: SmtpServer,
    drain: Any,
) -> None:
    mail.at["RCPT"] = "450 internal-relay-7 is full"
    [sent] = send(member).notifications
    drain()
    for address in (f"{API}notifications/{sent.id}", f"{API}notifications/{sent.id}/explain"):
        told, seen = staff_client.get(address), client.get(address)
        assert told.content.count(b"internal-relay-7") == 3
        assert seen.status_code == 200
        assert b"internal-relay-7" not in seen.content
        [channel] = [one for one in seen.json()["channels"] if one["channel"] == "email"]
        assert (channel["status"], channel["attempts"][0]["outcome"]) == ("pending", "not_sent")


GOOD = {"event_type": "news", "recipients": ["a@example.com"]}
WRONG_SENDS: list[tuple[str, Any, dict[str | None, str]]] = [
    ("no recipients", {"event_type": "news"}, {"recipients": "required"}),
    ("an empty list", {"event_type": "news", "recipients": []}, {"recipients": "empty"}),
    ("unknown event type", {**GOOD, "event_type": "nope"}, {"event_type": "unknown_event_type"}),
    ("unknown recipient", {**GOOD, "recipients": [str(new_id())]}, {"recipients.0": "unknown_recipient"}),
    ("an object that names nobody", {"event_type": "news", "recipients": [{}]}, {"recipients.0": "invalid"}),
    ("unknown field", {**GOOD, "colour": "red"}, {"colour": "unknown_field"}),
    ("unknown channel", {**GOOD, "channels": ["fax"]}, {"channels.0": "invalid"}),
    ("unknown priority", {**GOOD, "priority": "soon"}, {"priority": "invalid_choice"}),
    ("no date", {**GOOD, "scheduled_for": "soon"}, {"scheduled_for": "invalid"}),
    ("data that is a list", {**GOOD, "data": [1]}, {"data": "not_a_dict"}),
    ("content that is no text", {**GOOD, "content": {"title": {}}}, {"content.title": "invalid"}),
    ("a list", [], {"non_field_errors": "invalid"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"), [row[1:] for row in WRONG_SENDS], ids=[row[0] for row in WRONG_SENDS]
)
def test_a_wrong_send_names_the_field(
    body: Any, expected: dict[str | None, str], sender: APIClient, news: EventType
) -> None:
    assert errors(sender.post(API + "notifications", body, format="json")) == expected
    assert not NotificationRequest.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a": "\\ud800"}', b'{"a": "\\u0000"}', b"[" * 5000])
def test_what_is_no_json_is_told(body: bytes, sender: APIClient) -> None:
    errors(sender.generic("POST", API + "notifications", body, content_type="application/json"))


def test_one_wrong_send_of_many_refuses_them_all(sender: APIClient, news: EventType) -> None:
    good = {"event_type": "news", "recipients": ["a@example.com"]}
    wrong = {"event_type": "nope", "recipients": ["a@example.com"]}
    answer = sender.post(API + "notifications/bulk", {"notifications": [good, good, wrong]})
    assert errors(answer) == {"notifications.2.event_type": "unknown_event_type"}
    assert not NotificationRequest.objects.exists()
    answer = sender.post(API + "notifications/bulk", {"notifications": [good, good]})
    assert (answer.status_code, len(answer.json()["results"])) == (202, 2)
    assert NotificationRequest.objects.count() == 2


def test_the_same_key_answers_the_same_once(sender: APIClient, news: EventType, member: User) -> None:
    def send(body: dict[str, Any], key: str = "k1") -> Any:
        return sender.post(API + "notifications", body, headers={"Idempotency-Key": key})

    body = {"event_type": "news", "recipients": [str(member.id)]}
    first, again = send(body), send(body)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert NotificationRequest.objects.count() == 1
    assert errors(send({**body, "priority": "low"}), 422) == {"Idempotency-Key": "idempotency_key_reused"}
    assert send(body, "k2").json() != first.json()


def test_a_wrong_call_does_not_use_up_its_key(sender: APIClient, news: EventType, member: User) -> None:
    headers = {"Idempotency-Key": "k"}
    errors(sender.post(API + "notifications", {"recipients": []}, headers=headers))
    right = {"event_type": "news", "recipients": [str(member.id)]}
    assert sender.post(API + "notifications", right, headers=headers).status_code == 202


@pytest.mark.django_db(transaction=True)
def test_while_the_first_still_runs_the_second_waits(
    sender: APIClient, news: EventType, member: User, monkeypatch: Any
) -> None:
    body = {"event_type": "news", "recipients": [str(member.id)]}
    headers = {"Idempotency-Key": "k"}
    answers: list[Any] = []
    real = sending_views.send_notification

    def meanwhile(**fields: Any) -> SendResult:
        # What another connection sees at this moment; the first request is not answered yet.
        def ask() -> None:
            answers.append(sender.post(API + "notifications", body, headers=headers))
            connection.close()

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(10)
        return real(**fields)

    monkeypatch.setattr(sending_views, "send_notification", meanwhile)
    assert sender.post(API + "notifications", body, headers=headers).status_code == 202
    [second] = answers
    assert errors(second, 409) == {None: "idempotency_in_progress"}
    assert int(second["Retry-After"]) >= 1
    assert NotificationRequest.objects.count() == 1


def test_who_may_do_what(
    api_client: Any,
    make_api_key: Any,
    organization: Organization,
    client: APIClient,
    sender: APIClient,
    news: EventType,
    member: User,
    owner: User,
    send: Send,
) -> None:
    body = {"event_type": "news", "recipients": [str(member.id)]}
    [foreign] = send(owner).notifications
    assert client.post(API + "notifications", body).status_code == 403
    assert client.get(API + "templates").status_code == 403
    assert client.get(f"{API}notifications/{foreign.id}").status_code == 404
    assert client.delete(f"{API}notifications/{foreign.id}").status_code == 403
    assert sender.get(API + "templates").status_code == 403
    assert sender.get(API + "notifications").status_code == 403  # a key has no inbox
    _, reading = make_api_key(organization, "notifications:read")
    reader = api_client(reading)
    assert reader.post(API + "notifications", body).status_code == 403
    assert reader.get(f"{API}notifications/{foreign.id}/explain").status_code == 200
    assert api_client().get(API + "notifications").status_code == 401


def test_the_inbox_over_the_api(client: APIClient, send: Send, news: EventType, member: User) -> None:
    first, second, third = (str(send(member).notifications[0].id) for _ in range(3))
    assert client.get(API + "notifications/count").json() == {"unread": 3, "unseen": 3, "inbox_seq": 3}
    for act in ("seen", "read", "unread", "archive", "unarchive"):
        answer = client.post(f"{API}notifications/{first}/{act}/")
        assert (answer.status_code, answer.json()["id"]) == (200, first)
    client.post(f"{API}notifications/{first}/archive")
    assert client.post(API + "notifications/mark-read", {"ids": [second]}).json() == {"changed": 1}
    assert client.post(API + "notifications/mark-seen", {"all": True}).json()["changed"] == 1

    def ids(query: str) -> list[str]:
        return [row["id"] for row in client.get(f"{API}notifications{query}").json()["results"]]

    assert ids("") == [third, second]
    assert ids("?read=true") == [second]
    assert ids("?read=false") == [third]
    assert ids("?archived=true") == [first]
    assert ids("?category=general") == [third, second]
    assert ids("?category=other") == []
    assert ids("/unread") == [third]
    assert ids("/history") == [third, second, first]
    changes = client.get(API + "notifications?since_seq=8").json()
    assert (changes["complete"], changes["inbox_seq"]) == (True, changes["results"][-1]["seq"])


@pytest.mark.parametrize(
    "query", ["read=perhaps", "since_seq=-1", "since_seq=x", "since_seq=²", "since_seq=" + "9" * 40]
)
def test_a_wrong_filter_is_named(query: str, client: APIClient) -> None:
    assert set(errors(client.get(f"{API}notifications?{query}"))) == {query.split("=", maxsplit=1)[0]}


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "ids"),
        ({"ids": ["x"]}, "ids.0"),
        ({"ids": [], "all": True}, "ids"),
        ({"ids": [str(new_id())]}, "ids.0"),
    ],
)
def test_a_wrong_mark_is_named(body: dict[str, Any], attr: str, client: APIClient) -> None:
    assert set(errors(client.post(API + "notifications/mark-read", body))) == {attr}


def test_a_row_that_is_not_there(client: APIClient, sender: APIClient) -> None:
    for act in ("read", "unread", "seen", "archive", "unarchive"):
        errors(client.post(f"{API}notifications/{new_id()}/{act}"), 404)
    errors(sender.delete(f"{API}notifications/{new_id()}"), 404)
    errors(sender.post(f"{API}notifications/{new_id()}/retry"), 404)


def test_cancel_and_retry(
    sender: APIClient, send: Send, news: EventType, member: User, mail: SmtpServer, drain: Any
) -> None:
    first, second = (send(member).notifications[0].id for _ in range(2))
    answer = sender.delete(f"{API}notifications/{first}")
    assert answer.json() == {"stopped": ["email"], "too_late": ["in_app"]}
    assert errors(sender.delete(f"{API}notifications/{first}"), 409) == {None: "too_late"}
    mail.at["RCPT"] = "550 No"
    drain()
    assert errors(sender.post(f"{API}notifications/{first}/retry"), 409) == {None: "nothing_to_retry"}
    answer = sender.post(f"{API}notifications/{second}/retry")
    assert (answer.status_code, answer.json()) == (202, {"requeued": ["email"]})
    assert states(notification=second)["email"] == ("pending", "retrying")


def test_what_may_have_arrived_is_not_sent_again_unasked(
    sender: APIClient, send: Send, news: EventType, member: User, mail: SmtpServer, drain: Any
) -> None:
    mail.reset = True
    id_ = send(member).notifications[0].id
    drain()
    assert states(notification=id_)["email"][0] == "unknown"
    place = f"{API}notifications/{id_}/retry"
    for body in (None, {}, {"even_if_unknown": False}):
        assert errors(sender.post(place, body), 409) == {None: "outcome_unknown"}
    assert states(notification=id_)["email"][0] == "unknown"
    assert errors(sender.post(place, {"even_if_unknown": "perhaps"})) == {"even_if_unknown": "invalid"}
    assert errors(sender.post(place, {"force": True})) == {"force": "unknown_field"}
    answer = sender.post(place, {"even_if_unknown": True})
    assert (answer.status_code, answer.json()) == (202, {"requeued": ["email"]})
    assert states(notification=id_)["email"] == ("pending", "retrying")


def test_what_failed_goes_out_again_and_what_may_have_arrived_does_not(
    sender: APIClient, send: Send, news: EventType, member: User
) -> None:
    id_ = send(member).notifications[0].id
    rows = Delivery.objects.filter(notification=id_)
    rows.filter(channel="email").update(status="unknown")
    rows.filter(channel="in_app").update(status="dead")
    assert sender.post(f"{API}notifications/{id_}/retry").json() == {"requeued": ["in_app"]}
    assert dict(rows.values_list("channel", "status")) == {"email": "unknown", "in_app": "pending"}


def test_would_this_person_get_it(staff_client: APIClient, news: EventType, member: User) -> None:
    answer = staff_client.post(
        API + "notifications/preview-routing", {"event_type": "news", "recipient": str(member.id)}
    )
    assert {one["channel"]: one["action"] for one in answer.json()["decisions"]} == {
        "email": "send",
        "in_app": "send",
    }
    assert not Notification.objects.exists()
    wrong = staff_client.post(
        API + "notifications/preview-routing", {"event_type": "x", "recipient": str(member.id)}
    )
    assert errors(wrong) == {"event_type": "unknown_event_type"}


def test_preferences_over_the_api(client: APIClient, news: EventType) -> None:
    body = {
        "set": [{"scope": "event_type", "key": "news", "channel": "email", "enabled": False}],
        "quiet_hours": {"enabled": True, "start": "21:00", "end": "07:00"},
    }
    answer = client.patch(API + "preferences", body)
    assert answer.status_code == 200, answer.content
    assert answer.json() == client.get(API + "preferences/").json()
    assert answer.json()["quiet_hours"]["start"] == "21:00"
    cells = client.get(API + "preferences/effective").json()["cells"]
    email = next(one for one in cells if (one["event_type"], one["channel"]) == ("news", "email"))
    assert (email["effective"], email["reason"]) == (False, "preference")
    # All or nothing: the switch is right, the hours are not.
    wrong = {"set": [{"scope": "global", "enabled": False}], "quiet_hours": {"start": "25:00"}}
    assert set(errors(client.patch(API + "preferences", wrong))) == {"quiet_hours.start"}
    assert client.get(API + "preferences").json()["global"]["*"] is None


def test_templates_over_the_api(staff_client: APIClient, mail: SmtpServer, drain: Any, staff: User) -> None:
    body = {
        "key": "hello", "name": "Hello", "variables": {"name": {"type": "string", "required": True, "example": "Ex"}},
        "contents": {"en": {"subject": "Hi {{ name }}", "text": "Text", "in_app_title": "Hi"}},
    }  # fmt: skip
    made = staff_client.post(API + "templates", body)
    assert made.status_code == 201, made.content
    address = f"{API}templates/{made.json()['id']}"
    assert (made.json()["draft_version"], made.json()["published_version"]) == (1, None)
    assert errors(staff_client.post(API + "templates", body), 409) == {"key": "exists"}
    preview = staff_client.post(f"{address}/preview", {"data": {"name": "Ada"}}).json()
    assert (preview["subject"], preview["errors"]) == ("Hi Ada", {})
    assert staff_client.post(f"{address}/publish").json()["published_version"] == 1
    assert errors(staff_client.post(f"{address}/publish"), 409) == {None: "no_draft"}
    assert staff_client.post(f"{address}/test-send", {}).status_code == 202
    drain()
    assert (mail.arrived[0].recipients, mail.arrived[0].message["Subject"]) == ([staff.email], "Hi Ex")
    changed = staff_client.put(address, {**body, "contents": {"en": {"subject": "New", "text": "t"}}})
    assert changed.json()["draft_version"] == 2
    assert staff_client.get(address).json()["versions"][0]["contents"][0]["subject"] == "New"
    assert errors(staff_client.put(address, {**body, "key": "other"})) == {"key": "invalid"}
    assert errors(staff_client.delete(address), 409) == {None: "in_use"}
    unused = staff_client.post(API + "templates", {**body, "key": "unused"}).json()
    assert staff_client.delete(f"{API}templates/{unused['id']}").status_code == 204
    assert {one["key"] for one in staff_client.get(API + "templates").json()["results"]} == {"hello"}


@pytest.mark.parametrize(
    ("change", "attr"),
    [
        ({"key": "Not A Key"}, "key"),
        ({"contents": {}}, "contents"),
        ({"contents": {"en": {"subject": "{{ broken"}}}, "contents.en.subject"),
        ({"contents": {"en": {"colour": "red"}}}, "contents.en.colour"),
        ({"contents": {"en": {"push_title": "x" * 201}}}, "contents.en.push_title"),
        ({"contents": {"not a locale": {"sms": "x"}}}, "contents.not a locale"),
        ({"contents": {"en": {"subject": "x", "mjml": "<mj-raw>x</mj-raw>"}}}, "contents.en.mjml"),
        ({"layout": "nowhere"}, "layout"),
        ({"variables": {"x": {"type": ["a"]}}}, "variables.x.type"),
    ],
)
def test_a_wrong_template_over_the_api(change: dict[str, Any], attr: str, staff_client: APIClient) -> None:
    body = {"key": "hello", "name": "Hello", "contents": {"en": {"sms": "x"}}, **change}
    assert set(errors(staff_client.post(API + "templates", body))) == {attr}
    assert not Template.objects.exists()


def test_the_catalog_can_be_read(client: APIClient, news: EventType) -> None:
    assert [one["key"] for one in client.get(API + "categories").json()["results"]] == ["general"]
    [kind] = client.get(API + "event-types/").json()["results"]
    assert (kind["key"], kind["category"], kind["template"], kind["priority"]) == (
        "news",
        "general",
        "news-template",
        "normal",
    )


def test_a_send_over_the_api_takes_a_constant_number_of_queries(
    sender: APIClient, news: EventType, organization: Organization, make_user: Any
) -> None:
    people = [str(make_user(organization=organization).id) for _ in range(20)]

    def ask(recipients: list[str]) -> int:
        with CaptureQueriesContext(connection) as queries:
            answer = sender.post(API + "notifications", {"event_type": "news", "recipients": recipients})
        assert answer.status_code == 202
        return len(queries)

    ask(people[:1])
    assert ask(people[:1]) == ask(people) <= 8
    assert Delivery.objects.filter(channel="email").count() == 22


def test_the_inbox_takes_a_constant_number_of_queries(
    client: APIClient, send: Send, news: EventType, member: User
) -> None:
    def ask() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(API + "notifications")
        return len(queries)

    send(member)
    ask()
    few = ask()
    for _ in range(10):
        send(member)
    assert ask() == few
