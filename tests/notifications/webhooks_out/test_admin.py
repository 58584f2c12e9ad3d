"""Webhooks in the admin, as staff of one organization see and use them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Organization, User
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.services.webhook_endpoints import change_endpoint, create_endpoint
from tests.notifications.admin_pages import list_page, page_of, press, run, text_of
from tests.notifications.hook_server import HookServer, Reply

from .conftest import Publish

pytestmark = pytest.mark.django_db

ADD = "admin:notifications_webhookendpoint_add"


def test_an_endpoint_is_made_and_its_secret_shown_once(
    desk: Client, organization: Organization, hook: HookServer
) -> None:
    filled = {"organization": str(organization.id), "url": hook.url(), "kind": "standard", "description": "CRM",
              "event_types": ["delivery.*"]}  # fmt: skip
    page = desk.post(reverse(ADD), filled, follow=True).content.decode()
    row = WebhookEndpoint.objects.get()
    assert (row.organization, row.event_types, row.url) == (organization, ["delivery.*"], hook.url())
    assert row.secret in page
    assert row.secret not in text_of(desk, page_of(row))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"url": "https://10.0.0.1/"}, "not on the public internet"), ({"url": ""}, "must start with http")],
)
def test_what_is_refused_is_said_at_the_field(
    desk: Client, organization: Organization, wrong: dict[str, str], says: str
) -> None:
    filled = {"organization": str(organization.id), "kind": "standard", **wrong}
    page = desk.post(reverse(ADD), filled).content.decode()
    assert says in page
    assert not WebhookEndpoint.objects.exists()


def test_an_endpoint_is_changed_and_switched_off_and_on(desk: Client, endpoint: WebhookEndpoint) -> None:
    filled = {"url": endpoint.url, "description": "Renamed", "event_types": ["alert.*"]}
    assert desk.post(page_of(endpoint), filled).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.description, endpoint.is_active, endpoint.disabled_reason) == (
        "Renamed",
        False,
        "by_hand",
    )
    assert "Switched off by staff" in text_of(desk, page_of(endpoint))
    press(desk, endpoint, "switch_on")
    endpoint.refresh_from_db()
    assert endpoint.is_active


def test_slack_s_url_stays_when_the_field_is_left_empty(
    desk: Client, organization: Organization, hook: HookServer
) -> None:
    row, _ = create_endpoint(organization=organization, url=hook.url("/services/secret"), kind="slack")
    assert "/services/secret" not in text_of(desk, page_of(row))
    desk.post(page_of(row), {"url": "", "description": "Room", "is_active": "on"})
    row.refresh_from_db()
    assert (row.url, row.description, row.is_active) == (hook.url("/services/secret"), "Room", True)


def test_the_buttons_test_rotate_and_replay(
    desk: Client, endpoint: WebhookEndpoint, hook: HookServer, publish: Publish, drain: Callable[[], int]
) -> None:
    press(desk, endpoint, "send_test")
    drain()
    assert hook.told[0].event["type"] == "ping"
    before = endpoint.secret
    press(desk, endpoint, "rotate")
    endpoint.refresh_from_db()
    assert endpoint.previous_secret == before
    page = text_of(desk, page_of(endpoint))
    assert endpoint.secret in page
    press(desk, endpoint, "replay", hours="1", delivered="on")
    drain()
    assert [one.id for one in hook.told] == [hook.told[0].id] * 2


def test_the_log_shows_attempts_and_sends_again(
    desk: Client, endpoint: WebhookEndpoint, hook: HookServer, publish: Publish, drain: Callable[[], int]
) -> None:
    hook.replies.append(Reply(500, body=b"<b>out of order</b>"))
    publish("delivery.bounced")
    drain()
    WebhookDelivery.objects.update(status="failed")
    row = WebhookDelivery.objects.get()
    assert "delivery.bounced" in text_of(desk, list_page("webhookdelivery"))
    page = text_of(desk, page_of(row))
    assert "&lt;b&gt;out of order&lt;/b&gt;" in page
    assert str(row.message_id) in page
    press(desk, row, "replay_one")
    drain()
    assert "1 due again." in run(desk, "replay_selected", row)
    assert "None of them" in run(desk, "replay_selected", row)
    assert len({one.id for one in hook.told}) == 1


def test_staff_of_another_organization_see_nothing(
    desk: Client, other_organization: Organization, hook: HookServer, publish: Publish
) -> None:
    foreign, _ = create_endpoint(organization=other_organization, url=hook.url(), description="FOREIGN")
    publish(organization=other_organization)
    row = WebhookDelivery.objects.get()
    for model in ("webhookendpoint", "webhookdelivery"):
        assert "FOREIGN" not in text_of(desk, list_page(model))
    for one in (foreign, row):
        assert desk.get(page_of(one)).status_code in {302, 403, 404}
    press(desk, foreign, "rotate")
    press(desk, row, "replay_one")
    foreign.refresh_from_db()
    assert foreign.previous_secret == ""
    WebhookDelivery.objects.update(status="failed")
    run(desk, "replay_selected", row)
    assert WebhookDelivery.objects.get().status == "failed"


def test_the_operator_s_addresses_are_for_superusers_and_cannot_be_changed(
    desk: Client, make_user: Callable[..., User], endpoint: WebhookEndpoint
) -> None:
    own = WebhookEndpoint.objects.create(setting="SLACK_WEBHOOK_URL", kind="slack")
    assert "SLACK_WEBHOOK_URL" not in text_of(desk, list_page("webhookendpoint"))
    root = Client()
    root.force_login(
        make_user(is_staff=True, is_superuser=True), backend="django.contrib.auth.backends.ModelBackend"
    )
    assert "from the setting SLACK_WEBHOOK_URL" in text_of(root, list_page("webhookendpoint"))
    assert root.get(page_of(own)).status_code == 200
    assert root.post(page_of(own), {"url": "https://example.com/"}).status_code == 403


def test_lists_ask_no_more_for_more_rows(
    desk: Client, endpoint: WebhookEndpoint, publish: Publish, organization: Organization, hook: HookServer,
    django_assert_max_num_queries: Callable[..., object],
) -> None:  # fmt: skip
    for number in range(10):
        publish(delivery_id=str(number))
        create_endpoint(organization=organization, url=hook.url())
    for model in ("webhookendpoint", "webhookdelivery"):
        with django_assert_max_num_queries(14):
            text_of(desk, list_page(model))


def test_a_page_changed_behind_its_back_says_so(desk: Client, endpoint: WebhookEndpoint) -> None:
    change_endpoint(endpoint=endpoint, changes={"is_active": False})
    assert press(desk, endpoint, "send_test").status_code in {302, 403}
    assert not WebhookDelivery.objects.exists()
