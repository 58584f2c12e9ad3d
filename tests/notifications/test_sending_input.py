"""Every call that is wrong says what is wrong with it, and leaves nothing."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from notifications.models import EventType, Notification, NotificationRequest
from notifications.rendering.context import RESERVED_NAMES
from notifications.services.sending import SendResult, send_notification
from notifications.services.templates import save_template

Send = Callable[..., SendResult]
DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("unknown event type", {"event_type": "nope"}, "event_type"),
    ("event type switched off", {"event_type": "off"}, "event_type"),
    ("event type without a template", {"event_type": "bare"}, "event_type"),
    ("nothing named", {"event_type": None, "template": None}, "event_type"),
    ("unknown template", {"template": "nope"}, "template"),
    ("a template with a draft only", {"template": "draft"}, "template"),
    ("a template and content", {"template": "typed", "content": {"title": "x"}}, "content"),
    ("unknown channel", {"channels": ["email", "pigeon"]}, "channels.1"),
    ("no channel", {"channels": []}, "channels"),
    ("a channel, not a list", {"channels": "email"}, "channels"),
    ("unknown priority", {"priority": "soon"}, "priority"),
    ("a naive time", {"scheduled_for": dt.datetime(2030, 1, 1)}, "scheduled_for"),
    ("a time as text", {"scheduled_for": "2030-01-01"}, "scheduled_for"),
    ("too far ahead", {"scheduled_for": dt.datetime(2090, 1, 1, tzinfo=dt.UTC)}, "scheduled_for"),
    ("a key that cannot be printed", {"idempotency_key": "a\nb"}, "idempotency_key"),
    ("a key that is too long", {"idempotency_key": "a" * 256}, "idempotency_key"),
    ("data that is a list", {"data": [1]}, "data"),
    ("too much data", {"data": {"text": "x" * 70_000}}, "data"),
    ("NUL in data", {"data": {"a": {"b": ["x\x00"]}}}, "data"),
    ("NUL in a name", {"data": {"x\x00": 1}}, "data"),
    ("half a surrogate pair in data", {"data": {"a": "\ud800"}}, "data"),
    ("a number beyond 64 bits", {"data": {"a": 2**70}}, "data"),
    ("data that is nested too deep", {"data": {"a": DEEP}}, "data"),
    ("an object in data", {"data": {"a": [object()]}}, "data"),
    ("a decimal in data", {"data": {"a": decimal.Decimal("1.1")}}, "data"),
    *((f"the name {name} is taken", {"data": {name: 1}}, f"data.{name}") for name in sorted(RESERVED_NAMES)),
    ("a variable is missing", {"template": "typed", "data": {}}, "data.name"),
    ("a variable is null", {"template": "typed", "data": {"name": None}}, "data.name"),
    ("text for a number", {"template": "typed", "data": {"name": "x", "count": "3"}}, "data.count"),
    ("true for a number", {"template": "typed", "data": {"name": "x", "count": True}}, "data.count"),
    ("unknown content", {"content": {"titel": "x"}}, "content.titel"),
    ("content that is a list", {"content": ["x"]}, "content"),
    ("content that is no text", {"content": {"title": 3}}, "content.title"),
    ("NUL in content", {"content": {"title": "x", "body": "a\x00"}}, "content.body"),
    ("half a surrogate pair in content", {"content": {"title": "\udfff"}}, "content.title"),
    ("a title that is too long", {"content": {"title": "x" * 501}}, "content.title"),
    ("a body that is too long", {"content": {"title": "x", "body": "x" * 500_001}}, "content.body"),
    ("a link that is too long", {"content": {"title": "x", "action_url": "/" + "x" * 2000}}, "content.action_url"),
    ("content that says nothing", {"content": {"title": "", "action_url": "/"}}, "content"),
]  # fmt: skip

RECIPIENTS: list[tuple[str, Any, str]] = [
    ("none", [], "recipients"),
    ("a text", "someone@example.com", "recipients"),
    ("an object", {"user": "x"}, "recipients"),
    ("neither id nor address", ["someone"], "recipients.0"),
    ("a number", [7], "recipients.0"),
    ("nothing", [None], "recipients.0"),
    ("the second is unknown", ["member", new_id()], "recipients.1"),
    ("an unknown id as text", [str(new_id())], "recipients.0"),
    ("an unknown id in an object", [{"user": str(new_id())}], "recipients.0"),
    ("two ways to name one", [{"user": "x", "email": "a@example.com"}], "recipients.0"),
    ("an unknown way", [{"fax": "1"}], "recipients.0"),
    ("an address without a domain", ["someone@"], "recipients.0"),
    ("an address with a line break", ["a@example.com\r\nRCPT TO:<b@example.com>"], "recipients.0"),
    ("an address with a bracket", ["a>b@localhost"], "recipients.0"),
    ("an address with NUL", ["a\x00b@example.com"], "recipients.0"),
    ("an address that is too long", ["a" * 250 + "@example.com"], "recipients.0"),
    ("two addresses in one", ["a@example.com,b@example.com"], "recipients.0"),
    ("a number without country", [{"phone": "030 123456"}], "recipients.0"),
    ("a number that cannot be", [{"phone": "+1234"}], "recipients.0"),
]  # fmt: skip


@pytest.fixture
def catalog(
    make_event_type: Callable[..., EventType], make_template: Callable[..., Any], news: EventType
) -> None:
    make_event_type("off", is_active=False)
    make_event_type("bare", template=None)
    make_template("draft", publish=False)
    make_template(
        "typed",
        subject="{{ name }}",
        text="{{ count }}",
        variables={"name": {"type": "string", "required": True}, "count": {"type": "integer"}},
    )


@pytest.mark.parametrize(("given", "attr"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_call_names_the_field(
    given: dict[str, Any], attr: str, send: Send, catalog: None, member: User
) -> None:
    if "event_type" not in given and "template" not in given:
        given = {"event_type": "news", **given}
    with pytest.raises(InvalidInput) as caught:
        send(member, **given)
    assert caught.value.attr == attr
    assert caught.value.message
    assert not NotificationRequest.objects.exists()
    assert not Notification.objects.exists()


@pytest.mark.parametrize(
    ("given", "attr"), [row[1:] for row in RECIPIENTS], ids=[row[0] for row in RECIPIENTS]
)
def test_a_wrong_recipient_is_named_by_its_position(
    given: Any, attr: str, organization: Organization, news: EventType, member: User
) -> None:
    if isinstance(given, list):
        given = [member if one == "member" else one for one in given]
    with pytest.raises(InvalidInput) as caught:
        send_notification(organization=organization, recipients=given, event_type="news")
    assert caught.value.attr == attr
    assert not NotificationRequest.objects.exists()


def test_who_is_no_active_member_is_unknown(
    send: Send,
    news: EventType,
    make_user: Callable[..., User],
    organization: Organization,
    other_organization: Organization,
) -> None:
    left = make_user(organization=organization)
    left.memberships.update(is_active=False)
    barred = make_user(organization=organization, is_active=False)
    foreign = make_user(organization=other_organization)
    for person in (left, barred, foreign):
        with pytest.raises(InvalidInput) as caught:
            send(person)
        assert caught.value.code == "unknown_recipient"


def test_too_many_recipients(send: Send, news: EventType) -> None:
    with pytest.raises(InvalidInput, match="100000"):
        send(*["a@example.com"] * 100_001)


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"subject": "x" * 999, "text": "x"}, "contents.en.subject"),
        ({"in_app_title": "x" * 501}, "contents.en.in_app_title"),
        ({"in_app_title": "x", "action_url": "/" + "x" * 2000}, "contents.en.action_url"),
        ({"subject": "{{ broken", "text": "x"}, "contents.en.subject"),
        ({"subject": "{% for %}", "text": "x"}, "contents.en.subject"),
        ({"subjct": "x"}, "contents.en.subjct"),
        ({"sms": "{% include 'x' %}"}, "contents.en.sms"),
        ({"subject": "x", "mjml": "<mj-nonsense"}, "contents.en.mjml"),
    ],
)
def test_a_wrong_template_names_the_field_and_is_not_kept(
    fields: dict[str, str], attr: str, organization: Organization
) -> None:
    with pytest.raises(InvalidInput) as caught:
        save_template(organization=organization, key="t", name="t", contents={"en": fields})
    assert caught.value.attr == attr


@pytest.mark.parametrize(
    ("variables", "attr"),
    [
        ({"user": {"type": "string"}}, "variables.user"),
        ({"x": {"type": "strin"}}, "variables.x.type"),
        ({"x": {"type": ["string"]}}, "variables.x.type"),
        ({"x": "string"}, "variables.x"),
    ],
)
def test_a_wrong_declaration_of_a_variable(
    variables: dict[str, Any], attr: str, organization: Organization
) -> None:
    with pytest.raises(InvalidInput) as caught:
        save_template(
            organization=organization, key="t", name="t", contents={"en": {"sms": "x"}}, variables=variables
        )
    assert caught.value.attr == attr
