"""``sms/send``, ``sms/bulk``, ``email/send``, ``email/template``: other words for the same path."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import Delivery, NotificationRequest, ProviderAccount
from notifications.services import sms_regions
from notifications.services.suppressions import suppress_address
from notifications.stand_ins import StandIn

from .conftest import states
from .smtp_server import SmtpServer

API = "/api/v1/"
PERSON, OTHER = "+4915112345678", "+4915112345679"


@pytest.fixture
def client(
    api_client: Callable[..., APIClient], make_api_key: Callable[..., Any], organization: Organization
) -> APIClient:
    return api_client(make_api_key(organization, "notifications:send")[1])


def problems(answer: Any, status: int = 400) -> dict[str, str]:
    assert answer.status_code == status, answer.content
    return {one["attr"]: one["code"] for one in answer.json()["errors"]}


# --- SMS ----------------------------------------------------------------------------------------------


def test_an_sms_goes_out_and_its_segments_are_told(
    client: APIClient, drain: Callable[..., int], twilio_account: ProviderAccount, twilio_far: StandIn
) -> None:
    answer = client.post(API + "sms/send", {"to": "+49 1511 2345678", "text": "Grüße 🙂", "priority": "high"})
    assert answer.status_code == 202, answer.content
    made = answer.json()
    assert made["segments"] == {
        "encoding": "UCS-2", "characters": 8, "segments": 1, "per_segment": 70, "because": ["🙂"],
    }  # fmt: skip
    assert [one["recipient"] for one in made["notifications"]] == [PERSON]
    drain("sms", 1)
    (sent,) = twilio_far.accepted("twilio")
    delivery = Delivery.objects.get()
    assert (sent.to, sent.body["Body"], sent.delivery_id) == (PERSON, "Grüße 🙂", str(delivery.id))
    assert (delivery.status, delivery.segments, delivery.provider) == ("sent", 1, "twilio")
    assert str(delivery.notification_id) == made["notifications"][0]["id"]


def test_a_member_and_a_template(
    client: APIClient,
    make_template: Callable[..., Any],
    make_user: Callable[..., User],
    organization: Organization,
    drain: Callable[..., int],
    twilio_account: ProviderAccount,
    twilio_far: StandIn,
) -> None:
    make_template("code", sms="Your code is {{ code }}.")
    person = make_user(organization=organization, phone=OTHER)
    body = {"to": str(person.id), "template": "code", "data": {"code": "1234"}}
    answer = client.post(API + "sms/send", body)
    assert (answer.status_code, answer.json()["segments"]) == (202, None)
    drain("sms")
    assert [(one.to, one.body["Body"]) for one in twilio_far.accepted("twilio")] == [
        (OTHER, "Your code is 1234.")
    ]


def test_a_later_time_is_kept(client: APIClient, drain: Callable[..., int]) -> None:
    later = now() + dt.timedelta(hours=3)
    client.post(API + "sms/send", {"to": PERSON, "text": "Later", "scheduled_for": later.isoformat()})
    assert drain("sms") == 0
    assert Delivery.objects.get().due_at == later


def test_the_same_key_sends_once(client: APIClient) -> None:
    body, headers = {"to": PERSON, "text": "Once"}, {"Idempotency-Key": "k1"}
    first, second = (client.post(API + "sms/send", body, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert Delivery.objects.count() == 1
    other = client.post(API + "sms/send", {**body, "text": "Twice"}, headers=headers)
    assert problems(other, 422) == {"Idempotency-Key": "idempotency_key_reused"}


def test_a_suppressed_number_gets_nothing(
    client: APIClient, organization: Organization, drain: Callable[..., int]
) -> None:
    suppress_address(organization=organization, channel="sms", address=PERSON, reason="unsubscribe")
    assert client.post(API + "sms/send", {"to": PERSON, "text": "Hello"}).status_code == 202
    assert states() == {"sms": ("suppressed", "suppression")}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"to": "required"}),
        ({"to": PERSON}, {"text": "required"}),
        ({"to": PERSON, "text": ""}, {"text": "blank"}),
        ({"to": PERSON, "text": "x", "template": "y"}, {"text": "required"}),
        ({"to": PERSON, "text": "x" * 1601}, {"text": "max_length"}),
        ({"to": PERSON, "text": "a\ud800"}, {None: "parse_error"}),
        ({"to": "12", "text": "x"}, {"to": "invalid"}),
        ({"to": "a@example.com", "text": "x"}, {"to": "invalid"}),
        ({"to": [PERSON], "text": "x"}, {"to": "invalid"}),
        ({"to": 4915112345678, "text": "x"}, {"to": "invalid"}),
        ({"to": "00000000-0000-7000-8000-000000000000", "text": "x"}, {"to": "unknown_recipient"}),
        ({"to": PERSON, "template": "nothing"}, {"template": "unknown_template"}),
        ({"to": PERSON, "text": "x", "event_type": "nothing"}, {"event_type": "unknown_event_type"}),
        ({"to": PERSON, "text": "x", "priority": "asap"}, {"priority": "invalid_choice"}),
        ({"to": PERSON, "text": "x", "scheduled_for": "tomorrow"}, {"scheduled_for": "invalid"}),
        ({"to": PERSON, "text": "x", "from": "+12025550100"}, {"from": "unknown_field"}),
        ({"to": "+19005551234", "text": "x"}, {"to": "region_not_allowed"}),
    ],
)
def test_a_wrong_sms_is_named(body: dict[str, Any], expected: dict[Any, str], client: APIClient) -> None:
    if "\ud800" in str(body.get("text", "")):
        raw = b'{"to": "+4915112345678", "text": "a\\ud800"}'
        answer = client.generic("POST", API + "sms/send", raw, content_type="application/json")
    else:
        answer = client.post(API + "sms/send", body)
    assert problems(answer) == expected
    assert not NotificationRequest.objects.exists()


def test_numbers_elsewhere_are_refused(client: APIClient, organization: Organization) -> None:
    sms_regions.forget_regions()
    with override_settings(SMS_ALLOWED_REGIONS=["CH"]):
        answer = client.post(API + "sms/send", {"to": PERSON, "text": "x"})
        assert problems(answer) == {"to": "region_not_allowed"}
        answer = client.post(API + "sms/bulk", {"to": ["+41791234567", PERSON], "text": "x"})
        assert problems(answer) == {"to.1": "region_not_allowed"}
        messages = [{"to": "+41791234567", "text": "x"}, {"to": PERSON, "text": "x"}]
        answer = client.post(API + "sms/bulk", {"messages": messages})
        assert problems(answer) == {"messages.1.to": "region_not_allowed"}
    assert not NotificationRequest.objects.exists()


def test_bulk_sends_different_texts_or_one_to_many(
    client: APIClient, drain: Callable[..., int], twilio_account: ProviderAccount, twilio_far: StandIn
) -> None:
    messages = [{"to": PERSON, "text": "One"}, {"to": OTHER, "text": "Two"}]
    answer = client.post(API + "sms/bulk", {"messages": messages})
    assert answer.status_code == 202, answer.content
    results = answer.json()["results"]
    assert [one["segments"]["characters"] for one in results] == [3, 3]
    assert [one["notifications"][0]["recipient"] for one in results] == [PERSON, OTHER]

    answer = client.post(API + "sms/bulk", {"to": [PERSON, OTHER, PERSON], "text": "All"})
    (result,) = answer.json()["results"]
    assert (result["recipient_count"], len(result["notifications"])) == (2, 2)

    drain("sms")
    sent = sorted((one.to, one.body["Body"]) for one in twilio_far.accepted("twilio"))
    assert sent == [(PERSON, "All"), (PERSON, "One"), (OTHER, "All"), (OTHER, "Two")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"messages": []}, {"messages": "empty"}),
        ({"messages": [{"to": PERSON, "text": "x"}] * 1001}, {"messages": "max_length"}),
        (
            {"messages": [{"to": PERSON, "text": "x"}, {"to": "12", "text": "x"}]},
            {"messages.1.to": "invalid"},
        ),
        ({"messages": [{"to": PERSON}]}, {"messages.0.text": "required"}),
        ({"messages": [{"to": PERSON, "text": "x"}], "text": "y"}, {"text": "unknown_field"}),
        ({"to": [], "text": "x"}, {"to": "not_a_list"}),
        ({"to": [PERSON] * 1001, "text": "x"}, {"to": "max_length"}),
        ({"to": [PERSON, "12"], "text": "x"}, {"to.1": "invalid"}),
        ({"to": [PERSON, None], "text": "x"}, {"to": "not_a_list"}),
        ({}, {"to": "required"}),
    ],
)
def test_a_wrong_bulk_sends_nothing(
    body: dict[str, Any], expected: dict[str, str], client: APIClient
) -> None:
    assert problems(client.post(API + "sms/bulk", body)) == expected
    assert not NotificationRequest.objects.exists()


def test_a_thousand_at_once(client: APIClient) -> None:
    numbers = [f"+4915112{number:06}" for number in range(1000)]
    answer = client.post(API + "sms/bulk", {"messages": [{"to": one, "text": "x"} for one in numbers]})
    assert (answer.status_code, len(answer.json()["results"])) == (202, 1000)
    assert Delivery.objects.filter(channel="sms", status="pending").count() == 1000


# --- Mail ---------------------------------------------------------------------------------------------


def test_a_mail_with_reply_address_and_file(
    client: APIClient, drain: Callable[..., int], mail: SmtpServer
) -> None:
    body = {
        "to": "Someone@Example.com",
        "subject": "Your invoice",
        "text": "Find it attached.",
        "html": "<p>Find it <b>attached</b>.</p>",
        "reply_to": "billing@example.com",
        "attachments": [
            {
                "filename": "a.txt",
                "content_type": "text/plain",
                "content": base64.b64encode(b"Total: 5").decode(),
            }
        ],
    }
    answer = client.post(API + "email/send", body)
    assert answer.status_code == 202, answer.content
    assert [one["recipient"] for one in answer.json()["notifications"]] == ["someone@example.com"]
    drain()
    (arrived,) = mail.arrived
    message = arrived.message
    assert arrived.recipients == ["someone@example.com"]
    assert (message["Subject"], message["Reply-To"]) == ("Your invoice", "billing@example.com")
    assert [(part.get_filename(), part.get_content().strip()) for part in message.iter_attachments()] == [
        ("a.txt", "Total: 5")
    ]
    assert "<b>attached</b>" in message.get_body(("html",)).get_content()


def test_a_list_gets_a_mail_each(client: APIClient, drain: Callable[..., int], mail: SmtpServer) -> None:
    answer = client.post(
        API + "email/send", {"to": ["a@example.com", "b@example.com"], "subject": "S", "text": "T"}
    )
    assert answer.json()["recipient_count"] == 2
    drain()
    assert sorted(one.recipients for one in mail.arrived) == [["a@example.com"], ["b@example.com"]]


def test_a_template_by_mail(
    client: APIClient,
    make_template: Callable[..., Any],
    member: User,
    drain: Callable[..., int],
    mail: SmtpServer,
) -> None:
    make_template("hello", subject="Hello {{ name }}", text="Text")
    body = {"to": str(member.id), "template": "hello", "data": {"name": "Ada"}, "reply_to": "r@example.com"}
    assert client.post(API + "email/template", body).status_code == 202
    drain()
    (arrived,) = mail.arrived
    assert arrived.recipients == [member.email]
    assert (arrived.message["Subject"], arrived.message["Reply-To"]) == ("Hello Ada", "r@example.com")


MAIL = {"to": "a@example.com", "subject": "S", "text": "T"}


@pytest.mark.parametrize(
    ("address", "body", "expected"),
    [
        ("email/send", {}, {"to": "required", "subject": "required"}),
        ("email/send", {"to": "a@example.com", "subject": "S"}, {"text": "required"}),
        ("email/send", {**MAIL, "to": "nobody"}, {"to": "invalid"}),
        ("email/send", {**MAIL, "to": PERSON}, {"to": "invalid"}),
        ("email/send", {**MAIL, "to": ["a@example.com", "nobody"]}, {"to.1": "invalid"}),
        ("email/send", {**MAIL, "to": "a@example.com, b@example.com"}, {"to": "invalid"}),
        ("email/send", {**MAIL, "to": "a@example.com\r\nBcc: b@example.com"}, {"to": "invalid"}),
        ("email/send", {**MAIL, "subject": "x" * 501}, {"subject": "max_length"}),
        ("email/send", {**MAIL, "reply_to": "nobody"}, {"reply_to": "invalid"}),
        ("email/send", {**MAIL, "reply_to": "a@example.com\r\nBcc: b@example.com"}, {"reply_to": "invalid"}),
        (
            "email/send",
            {**MAIL, "attachments": [{"filename": "a.txt"}]},
            {"attachments.0.content": "required"},
        ),
        (
            "email/send",
            {**MAIL, "attachments": [{"filename": "a.exe", "content": "TVo="}]},
            {"attachments.0.filename": "type_not_allowed"},
        ),
        ("email/send", {**MAIL, "template": "x"}, {"template": "unknown_field"}),
        ("email/template", {"to": "a@example.com"}, {"template": "required"}),
        ("email/template", {"to": "a@example.com", "template": "x"}, {"template": "unknown_template"}),
    ],
)
def test_a_wrong_mail_is_named(
    address: str, body: dict[str, Any], expected: dict[str, str], client: APIClient
) -> None:
    found = problems(client.post(API + address, body))
    assert found.keys() == expected.keys()
    assert not NotificationRequest.objects.exists()


def test_mail_once_per_key_and_at_its_time(
    client: APIClient, drain: Callable[..., int], mail: SmtpServer
) -> None:
    later = (now() + dt.timedelta(hours=1)).isoformat()
    for _ in range(2):
        client.post(API + "email/send", MAIL | {"scheduled_for": later}, headers={"Idempotency-Key": "k"})
    drain()
    assert (mail.arrived, Delivery.objects.count()) == ([], 1)


@pytest.mark.parametrize("address", ["sms/send", "sms/bulk", "email/send", "email/template"])
def test_who_may_not_send(address: str, api_client: Callable[..., APIClient], member: User) -> None:
    assert api_client(member).post(API + address, {}).status_code == 403
    assert api_client().post(API + address, {}).status_code == 401
