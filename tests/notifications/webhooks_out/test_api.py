"""``/api/v1/webhook-endpoints``: who may, what is refused and where, and that nobody reaches into another's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient
from standardwebhooks.webhooks import Webhook

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.services.webhook_endpoints import MAX_ENDPOINTS, create_endpoint
from tests.notifications.hook_server import HookServer, Reply

from .conftest import Publish

pytestmark = pytest.mark.django_db

URL = "/api/v1/webhook-endpoints"


@pytest.fixture
def admin(api_client: Callable[..., APIClient], make_api_key: Any, organization: Organization) -> APIClient:
    _, plain = make_api_key(organization, "admin")
    return api_client(plain)


def errors(answer: Any) -> dict[str, str]:
    return {one["attr"]: one["code"] for one in answer.json()["errors"]}


def test_an_endpoint_is_made_used_changed_and_removed(
    admin: APIClient, hook: HookServer, publish: Publish, drain: Callable[[], int]
) -> None:
    made = admin.post(URL, {"url": hook.url(), "event_types": ["delivery.*"], "description": "CRM"})
    assert made.status_code == 201
    body = made.json()
    assert body["secret"].startswith("whsec_")
    assert (body["is_active"], body["kind"], body["include_address"]) == (True, "standard", False)
    one = f"{URL}/{body['id']}"
    assert "secret" not in admin.get(one).json()
    assert "secret" not in admin.get(URL).json()["results"][0]

    publish("delivery.sent")
    drain()
    Webhook(body["secret"]).verify(hook.told[0].body, hook.told[0].headers)

    changed = admin.patch(one, {"event_types": ["suppression.added"], "is_active": False})
    assert changed.status_code == 200
    assert changed.json()["disabled_reason"] == "by_hand"
    assert admin.patch(one, {"is_active": True}).json()["disabled_reason"] == ""
    assert publish("delivery.sent") == 0
    assert admin.delete(one).status_code == 204
    assert admin.get(one).status_code == 404


def test_the_secret_is_encrypted_in_the_database(admin: APIClient, hook: HookServer) -> None:
    from django.db import connection

    body = admin.post(URL, {"url": hook.url("/token")}).json()
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, url FROM notifications_webhookendpoint")
        stored = cursor.fetchone()
    assert body["secret"] not in stored[0]
    assert "/token" not in stored[1]


def test_slack_s_url_is_not_shown_again(admin: APIClient, hook: HookServer) -> None:
    body = admin.post(URL, {"url": hook.url("/services/T0/B0/xyz"), "kind": "slack"}).json()
    assert body["secret"] == ""
    assert body["url"] == f"http://127.0.0.1:{hook.port}/…"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"kind": "carrier-pigeon"}, "kind"),
        ({"event_types": ["delivery.*", "delivery.eaten"]}, "event_types.1"),
        ({"event_types": ["*.sent"]}, "event_types.0"),
        ({"event_types": "delivery.sent"}, "event_types"),
        ({"event_types": [1.5, {}]}, "event_types.1"),
        ({"description": "two\nlines"}, "description"),
        ({"description": "x" * 201}, "description"),
        ({"secret": "whsec_mine"}, "secret"),
        ({"is_active": False}, "is_active"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(
    admin: APIClient, hook: HookServer, body: dict[str, Any], wrong: str
) -> None:
    given = body if body == {} else {"url": hook.url(), **body}
    answer = admin.post(URL, given)
    assert answer.status_code == 400
    assert wrong in errors(answer)
    assert not WebhookEndpoint.objects.exists()


def test_a_wrong_change_changes_nothing(admin: APIClient, endpoint: WebhookEndpoint) -> None:
    answer = admin.patch(f"{URL}/{endpoint.id}", {"description": "New", "event_types": ["nothing"]})
    assert errors(answer) == {"event_types.0": "invalid"}
    assert errors(admin.patch(f"{URL}/{endpoint.id}", {"kind": "slack"})) == {"kind": "unknown_field"}
    endpoint.refresh_from_db()
    assert endpoint.description == "Ours"


def test_there_is_a_limit(admin: APIClient, organization: Organization, hook: HookServer) -> None:
    for _ in range(MAX_ENDPOINTS):
        create_endpoint(organization=organization, url=hook.url())
    answer = admin.post(URL, {"url": hook.url()})
    assert (answer.status_code, errors(answer)) == (409, {None: "too_many"})


def test_rotation_shows_the_new_secret_once(
    admin: APIClient, hook: HookServer, endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int]
) -> None:
    answer = admin.post(f"{URL}/{endpoint.id}/rotate-secret")
    assert answer.status_code == 201
    assert answer.json()["previous_secret_until"] is not None
    publish()
    drain()
    for secret in (answer.json()["secret"], endpoint.secret):
        Webhook(secret).verify(hook.told[0].body, hook.told[0].headers)
    assert len(hook.told[0].headers["webhook-signature"].split(" ")) == 2


def test_a_test_with_the_same_key_is_sent_once(
    admin: APIClient, hook: HookServer, endpoint: WebhookEndpoint, drain: Callable[[], int]
) -> None:
    first, second = (
        admin.post(f"{URL}/{endpoint.id}/test", headers={"Idempotency-Key": "k1"}) for _ in range(2)
    )
    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
    drain()
    assert [one.event["type"] for one in hook.told] == ["ping"]
    admin.patch(f"{URL}/{endpoint.id}", {"is_active": False})
    refused = admin.post(f"{URL}/{endpoint.id}/test")
    assert (refused.status_code, errors(refused)) == (409, {None: "endpoint_off"})


def test_deliveries_are_listed_page_by_page_and_told_again(
    admin: APIClient, hook: HookServer, endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int]
) -> None:
    hook.replies.append(Reply(500, body=b"out of order"))
    before = now()
    for number in range(5):
        publish(delivery_id=str(number))
    drain()
    one = f"{URL}/{endpoint.id}"
    page = admin.get(f"{one}/deliveries?limit=3").json()
    rest = admin.get(page["next"]).json()
    assert len({row["id"] for row in page["results"] + rest["results"]}) == 5
    assert rest["next"] is None
    (waiting,) = admin.get(f"{one}/deliveries?status=pending").json()["results"]
    assert (waiting["last_status_code"], waiting["attempt_count"]) == (500, 1)
    assert errors(admin.get(f"{one}/deliveries?status=lost")) == {"status": "invalid"}

    detail = admin.get(f"{URL}/deliveries/{waiting['id']}").json()
    assert detail["attempts"][0]["answer"] == "out of order"
    refused = admin.post(f"{URL}/deliveries/{waiting['id']}/replay")
    assert (refused.status_code, errors(refused)) == (409, {None: "pending"})

    arrived = next(row for row in page["results"] + rest["results"] if row["status"] == "delivered")
    assert admin.post(f"{URL}/deliveries/{arrived['id']}/replay").json()["status"] == "pending"
    drain()
    assert [told.id for told in hook.told].count(arrived["message_id"]) == 2

    WebhookDelivery.objects.filter(id=waiting["id"]).update(status="failed")
    answer = admin.post(f"{one}/replay", {"since": before.isoformat()})
    assert (answer.status_code, answer.json()) == (202, {"replayed": 1})
    later = (now() + dt.timedelta(days=1)).isoformat()
    assert errors(admin.post(f"{one}/replay", {"since": later})) == {"since": "invalid"}
    assert errors(admin.post(f"{one}/replay", {})) == {"since": "required"}


def test_only_staff_and_keys_with_the_scope_may(
    api_client: Callable[..., APIClient], make_api_key: Any, organization: Organization,
    member: User, staff: User, endpoint: WebhookEndpoint,
) -> None:  # fmt: skip
    _, plain = make_api_key(organization, "notifications:send", "notifications:read")
    for address in (URL, f"{URL}/{endpoint.id}", f"{URL}/{endpoint.id}/deliveries"):
        assert api_client(member).get(address).status_code == 403
        assert api_client(plain).get(address).status_code == 403
        assert api_client(staff).get(address).status_code == 200
    assert api_client(member).post(URL, {"url": "https://example.com/"}).status_code == 403
