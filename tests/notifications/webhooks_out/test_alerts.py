"""Alerts reach Slack, the generic address and the organization's own endpoints, once in a quarter of an hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.core.checks import run_checks
from django.db import connection, transaction
from standardwebhooks.webhooks import Webhook

from accounts.models import Organization
from castcomm.common.clock import now
from notifications.models import WebhookDelivery, WebhookEndpoint, WebhookMessage
from notifications.services.alerts import raise_alert
from notifications.services.webhook_endpoints import create_endpoint
from notifications.services.webhook_form import new_secret
from tests.notifications.hook_server import HookServer, Reply

pytestmark = pytest.mark.django_db

Drain = Callable[[], int]


def alarm(kind: str = "breaker_open", **more: Any) -> None:
    given = {"title": "SendGrid <fails>", "detail": "10 calls & no answer.", "severity": "critical", **more}
    raise_alert(kind=kind, **given)


@pytest.fixture
def slack(settings: Any, hook: HookServer) -> HookServer:
    settings.SLACK_WEBHOOK_URL = hook.url("/services/T0/B0/secret")
    return hook


def test_slack_gets_its_own_form(slack: HookServer, drain: Drain) -> None:
    alarm()
    drain()
    (told,) = slack.told
    assert told.path == "/services/T0/B0/secret"
    assert "webhook-signature" not in told.headers
    assert told.event["text"] == "Critical: SendGrid &lt;fails&gt;"
    section, context = told.event["blocks"]
    assert section == {
        "type": "section",
        "text": {
            "type": "mrkdwn",
            "text": "*Critical: SendGrid &lt;fails&gt;*\n10 calls &amp; no answer.",
        },
    }
    assert context["type"] == "context"
    assert context["elements"][0]["text"].startswith("alert.breaker_open at ")


def test_a_very_long_alert_fits_into_a_section_of_slack(slack: HookServer, drain: Drain) -> None:
    alarm(detail="x" * 10_000, title="y" * 5_000)
    drain()
    assert len(slack.told[0].event["blocks"][0]["text"]["text"]) <= 3_000
    assert WebhookDelivery.objects.get().status == "delivered"


def test_the_generic_address_gets_a_signed_event(settings: Any, hook: HookServer, drain: Drain) -> None:
    settings.ALERT_WEBHOOK_URL = hook.url("/alerts")
    settings.ALERT_WEBHOOK_SECRET = new_secret()
    alarm()
    drain()
    event = Webhook(settings.ALERT_WEBHOOK_SECRET).verify(hook.told[0].body, hook.told[0].headers)
    assert event["type"] == "alert.breaker_open"
    assert event["data"] == {
        "kind": "breaker_open",
        "title": "SendGrid <fails>",
        "detail": "10 calls & no answer.",
        "severity": "critical",
    }


def test_an_organization_hears_its_own_alerts_only(
    slack: HookServer, drain: Drain, organization: Organization, other_organization: Organization
) -> None:
    create_endpoint(organization=organization, url=slack.url("/ours"), event_types=["alert.*"])
    create_endpoint(organization=organization, url=slack.url("/news"), event_types=["delivery.*"])
    create_endpoint(organization=organization, url=slack.url("/room"), kind="slack", event_types=["alert.*"])
    create_endpoint(organization=other_organization, url=slack.url("/theirs"), event_types=["alert.*"])
    alarm(organization_id=organization.id)
    drain()
    heard = {one.path: one.event for one in slack.told}
    assert set(heard) == {"/ours", "/room", "/services/T0/B0/secret"}
    assert heard["/ours"]["data"]["organization"] == "First"
    assert "organization: First" in heard["/room"]["blocks"][0]["text"]["text"]


def test_the_same_alert_comes_once_in_fifteen_minutes(
    slack: HookServer, drain: Drain, organization: Organization
) -> None:
    for _ in range(3):
        alarm()
        alarm("other")
        alarm(organization_id=organization.id)
    assert WebhookMessage.objects.count() == 3
    cache.clear()  # Redis has forgotten; the database has not
    alarm()
    assert WebhookMessage.objects.count() == 3
    with time_machine.travel(now() + dt.timedelta(minutes=16), tick=True):
        cache.clear()
        alarm()
    assert WebhookMessage.objects.count() == 4


def test_an_alert_of_what_was_rolled_back_can_be_raised_again(slack: HookServer) -> None:
    with transaction.atomic():
        alarm()
        transaction.set_rollback(True)
    assert not WebhookMessage.objects.exists()
    alarm()
    assert WebhookMessage.objects.count() == 1


def test_it_never_raises_and_leaves_the_caller_s_transaction_alone(
    slack: HookServer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    monkeypatch.setattr("notifications.services.alerts.publish_all", broken)
    with transaction.atomic():
        Organization.objects.filter(id=organization.id).update(name="Changed")
        alarm()
    organization.refresh_from_db()
    assert organization.name == "Changed"


def test_without_anybody_to_tell_it_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    alarm()
    assert not WebhookMessage.objects.exists()
    assert "SendGrid <fails>" in caplog.text


def test_a_changed_setting_holds_at_once_and_an_emptied_one_ends_it(
    settings: Any, slack: HookServer, drain: Drain, due_now: Callable[[], None]
) -> None:
    slack.replies.append(Reply(500))
    alarm()
    drain()
    settings.SLACK_WEBHOOK_URL = slack.url("/moved")
    due_now()
    drain()
    assert [one.path for one in slack.told] == ["/services/T0/B0/secret", "/moved"]
    alarm("other")
    settings.SLACK_WEBHOOK_URL = ""
    drain()
    left = WebhookDelivery.objects.get(status="failed")
    assert left.last_detail == "The setting that names this address is empty now."
    assert len(slack.told) == 2


def test_the_operator_s_address_is_never_switched_off(slack: HookServer, drain: Drain) -> None:
    slack.replies.append(Reply(410))
    alarm()
    drain()
    row = WebhookEndpoint.objects.get()
    assert (row.is_active, row.organization, row.url) == (True, None, "")


@pytest.mark.parametrize(
    ("url", "secret", "number"),
    [
        ("https://alerts.example.com", "", "castcomm.E041"),
        ("https://alerts.example.com", "whsec_short", "castcomm.E041"),
        ("alerts.example.com", "whsec_" + "A" * 32, "castcomm.E040"),
    ],
    ids=["no secret", "a short secret", "no address"],
)
def test_an_address_that_cannot_work_is_refused_at_the_start(
    settings: Any, url: str, secret: str, number: str
) -> None:
    settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_SECRET = url, secret
    assert number in {found.id for found in run_checks()}
