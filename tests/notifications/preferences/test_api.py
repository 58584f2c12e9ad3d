"""Preferences over the API: signed in, by the link in a mail, and as staff."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Membership, Organization, User
from castcomm.common.ids import new_id
from castcomm.monitoring.redaction import redact_text
from notifications.models import Category, ConsentRecord, Delivery, EventType, Preference
from notifications.services import preference_links
from notifications.services.mail_links import MailLink, make_token
from notifications.services.push_click_tokens import make as make_push_token
from notifications.services.sending import SendResult

PREFERENCES, EFFECTIVE = "/api/v1/preferences", "/api/v1/preferences/effective"
OFF = {"scope": "category", "key": "general", "channel": "email", "enabled": False}


@pytest.fixture
def token(organization: Organization, member: User) -> str:
    return preference_links.make(organization.id, member.id, new_id())


def by_link(token: str, **headers: str) -> APIClient:
    client = APIClient(headers=headers)
    client.credentials(HTTP_AUTHORIZATION=f"Preferences {token}")
    return client


def cell(client: APIClient, channel: str, event_type: str = "news") -> dict[str, Any]:
    cells = client.get(EFFECTIVE).json()["cells"]
    return next(c for c in cells if (c["event_type"], c["channel"]) == (event_type, channel))


def test_a_cell_says_what_holds_why_by_whom_and_until_when(
    news: EventType, member: User, staff: User, api_client: Callable[..., APIClient], time_machine: Any
) -> None:
    time_machine.move_to("2026-06-10T23:00:00Z", tick=False)
    me, desk = api_client(member), api_client(staff)
    assert cell(me, "email") == {
        "event_type": "news", "category": "general", "channel": "email", "effective": True, "reason": "default",
        "sentence": "The event type sends on this channel by default.", "set_by": None, "scope": None, "until": None,
        "locked": False,
    }  # fmt: skip
    assert desk.patch("/api/v1/organization/preferences", {"set": [OFF]}).status_code == 200
    told = cell(me, "email")
    assert (told["effective"], told["reason"]) == (False, "preference")
    assert (told["set_by"], told["scope"]) == ("organization", "category")
    night = {"enabled": True, "start": "22:00", "end": "08:00"}
    answer = me.patch(PREFERENCES, {"set": [{**OFF, "enabled": True}], "quiet_hours": night})
    assert answer.json()["categories"][0]["channels"]["email"] is True
    assert answer.json()["quiet_hours"]["channels"] == {"email": None, "sms": None, "push": None}
    told = cell(me, "email")
    assert (told["effective"], told["reason"], told["set_by"]) == (True, "quiet_hours", "person")
    assert told["until"] == "2026-06-11T08:00:00+00:00"
    assert ConsentRecord.objects.get().source == "signed_in"


def test_what_is_critical_or_needs_consent_says_so(
    news: EventType, make_event_type: Any, member: User, api_client: Callable[..., APIClient]
) -> None:
    make_event_type("alarm", is_critical=True)
    Category.objects.filter(key="general").update(requires_consent=True)
    news.save()  # the catalog is loaded anew
    me = api_client(member)
    assert (cell(me, "email", "alarm")["locked"], cell(me, "email", "alarm")["reason"]) == (True, "critical")
    assert (cell(me, "email")["effective"], cell(me, "email")["reason"]) == (False, "no_consent")
    assert cell(me, "in_app")["effective"]
    off = {"scope": "event_type", "key": "alarm", "channel": "email", "enabled": False}
    refused = me.patch(PREFERENCES, {"set": [{**OFF, "enabled": True}, off]})
    assert refused.status_code == 400
    [error] = refused.json()["errors"]
    assert (error["attr"], error["code"]) == ("set.1.enabled", "required")
    assert not Preference.objects.exists()
    shown = "I want news of this kind by mail."
    assert me.patch(PREFERENCES, {"set": [{**OFF, "enabled": True}], "wording": shown}).status_code == 200
    assert cell(me, "email")["effective"]
    [consent] = me.get("/api/v1/consents").json()["results"]
    assert (consent["granted"], consent["wording"], consent["source"]) == (True, shown, "signed_in")
    assert consent["ip_address"] == "127.0.0.1"


def test_staff_set_the_defaults_and_members_do_not(
    news: EventType, member: User, staff: User, organization: Organization,
    api_client: Callable[..., APIClient], make_api_key: Any,
) -> None:  # fmt: skip
    address = "/api/v1/organization/preferences"
    for client in (api_client(member), api_client(make_api_key(organization, "notifications:read")[1])):
        assert client.get(address).status_code == 403
        assert client.patch(address, {"set": [OFF]}).status_code == 403
    server = api_client(make_api_key(organization, "admin")[1])
    wrong = server.patch(address, {"set": [OFF, {**OFF, "key": "nope"}]})
    assert (wrong.status_code, wrong.json()["errors"][0]["attr"]) == (400, "set.1.key")
    assert server.patch(address, {"quiet_hours": {}}).json()["errors"][0]["code"] == "unknown_field"
    answer = server.patch(address, {"set": [OFF]})
    assert answer.json()["categories"][0]["channels"]["email"] is False
    assert "quiet_hours" not in answer.json()
    assert Preference.objects.get().user is None
    # A server has no preferences of its own.
    assert server.get(PREFERENCES).status_code == 403


def test_the_link_in_a_mail_lets_its_person_choose(
    news: EventType, member: User, owner: User, token: str, organization: Organization
) -> None:
    link = preference_links.read(token)
    assert link is not None
    client = by_link(token, **{"User-Agent": "A phone"})
    assert client.patch(PREFERENCES, {"set": [OFF], "quiet_hours": {"enabled": True}}).status_code == 200
    assert not cell(client, "email")["effective"]
    row = ConsentRecord.objects.get()
    assert (row.user, row.source, row.delivery_id) == (member, "signed_link", link.delivery_id)
    assert row.user_agent == "A phone"
    [consent] = client.get("/api/v1/consents").json()["results"]
    assert "ip_address" not in consent
    # Cookies of whoever is signed in on this machine change nothing.
    client.force_login(owner)
    client.credentials(HTTP_AUTHORIZATION=f"Preferences {token}")
    client.patch(PREFERENCES, {"set": [{**OFF, "enabled": None}]})
    assert not Preference.objects.exists()


def test_a_link_opens_nothing_else(
    organization: Organization, other_organization: Organization, owner: User, news: EventType
) -> None:
    """Also a link of somebody who may do everything when signed in."""
    client = by_link(preference_links.make(organization.id, owner.id, new_id()))
    assert client.get(PREFERENCES).status_code == 200
    for address in ("me", "notifications/unread", "push/subscriptions", "suppressions", "event-types"):
        assert client.get(f"/api/v1/{address}").status_code == 401, address
    assert client.post("/api/v1/notifications", {"event_type": "news", "recipients": []}).status_code == 401
    assert client.get("/api/v1/organization/preferences").status_code == 401
    assert client.post("/api/v1/topics", {"key": "x", "name": "x"}).status_code == 403
    for named in (other_organization.slug, str(new_id()), "nowhere"):
        assert client.get(PREFERENCES, headers={"X-Organization": named}).status_code == 404
    assert client.get(PREFERENCES, headers={"X-Organization": organization.slug}).status_code == 200


def old(days: float) -> uuid.UUID:
    """The id of a delivery that was made so long ago."""
    made = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    return uuid.UUID(int=(int(made.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | 12345)


def test_a_forged_an_old_and_a_foreign_link_change_nothing(
    news: EventType, member: User, organization: Organization, other_organization: Organization,
    token: str, client: Client,
) -> None:  # fmt: skip
    ids = {"organization_id": organization.id, "delivery_id": new_id(), "category_id": news.category_id}
    forged = [
        "x", "x" * 5_000, "ä", f"{token}A", f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}", token[:-4], f"{token}=",
        make_token(MailLink(**ids, user_id=member.id, email="")), make_push_token(new_id()),
    ]  # fmt: skip
    gone = [
        preference_links.make(organization.id, member.id, old(31)),
        preference_links.make(other_organization.id, member.id, new_id()),
        preference_links.make(organization.id, new_id(), new_id()),
    ]
    for given, status in [*((one, 404) for one in forged), *((one, 410) for one in gone)]:
        assert (given, client.get(f"/p/{given}").status_code) == (given, status)
        if given.isascii():
            refused = by_link(given).patch(PREFERENCES, {"set": [OFF]})
            assert (given, refused.status_code) == (given, 401)
    assert by_link("").get(PREFERENCES).status_code == 401
    Membership.objects.filter(user=member).update(is_active=False)
    assert client.get(f"/p/{token}").status_code == 410
    assert by_link(token).patch(PREFERENCES, {"set": [OFF]}).status_code == 401
    assert not Preference.objects.exists()


def test_a_mail_that_was_scheduled_long_before_has_a_link_that_works(
    news: EventType, member: User, organization: Organization, send: Callable[..., SendResult]
) -> None:
    send(member)
    Delivery.objects.filter(channel="email").update(id=old(200))
    [mail] = Delivery.objects.filter(channel="email")
    assert preference_links.read(preference_links.make(organization.id, member.id, mail.id)) is not None
    mail.due_at -= dt.timedelta(days=31)
    mail.save()
    assert preference_links.read(preference_links.make(organization.id, member.id, mail.id)) is None


def test_the_page_of_a_link_keeps_it_to_itself(
    news: EventType, member: User, owner: User, token: str, client: Client
) -> None:
    client.force_login(owner)
    before = dict(client.cookies)
    answer = client.get(f"/p/{token}")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "m•••@example.com" in page
    assert "owner@example.com" not in page
    assert "member@example.com" not in page
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cache-Control"] == "no-store, private"
    assert "noindex" in answer["X-Robots-Tag"]
    assert dict(client.cookies) == before
    assert not answer.cookies
    assert client.post(f"/p/{token}").status_code == 405
    assert client.get("/p/example").status_code == 200
    line = f"GET /p/{token} Authorization: Preferences {token}"
    assert token not in redact_text(line)
    assert not Preference.objects.exists()
    assert not ConsentRecord.objects.exists()
