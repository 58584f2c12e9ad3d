"""Caps and smart send as staff set them: over the API and in the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import Organization, User
from notifications.models import FrequencyCap, SmartSendPolicy
from notifications.services.catalog import catalog_of

CAPS = "/api/v1/frequency-caps"
SMART = "/api/v1/organization/smart-send"
CAP = {"channel": "email", "period": "day", "limit": 3, "overflow": "defer", "active": True}


@pytest.fixture
def client(api_client: Callable[..., APIClient], staff: User) -> APIClient:
    return api_client(staff)


def caps(client: APIClient) -> list[dict[str, Any]]:
    return client.get(CAPS).json()["results"]


def test_caps_are_set_changed_and_taken_away(client: APIClient, organization: Organization) -> None:
    assert caps(client) == []
    assert client.put(CAPS, CAP, format="json").json() == CAP
    client.put(CAPS, {"period": "hour", "limit": 1}, format="json")
    client.put(CAPS, {**CAP, "limit": 5}, format="json")
    together = {"channel": "*", "period": "hour", "limit": 1, "overflow": "digest", "active": True}
    assert caps(client) == [together, {**CAP, "limit": 5}]
    assert {(one.channel, one.limit) for one in catalog_of(organization.id).caps} == {("", 1), ("email", 5)}
    assert client.delete(f"{CAPS}?channel=email&period=day").status_code == 204
    assert caps(client) == [together]
    assert client.delete(f"{CAPS}?channel=email&period=day").status_code == 404


@pytest.mark.parametrize(
    ("change", "attr"),
    [
        ({"channel": "in_app"}, "channel"),
        ({"period": "week"}, "period"),
        ({"limit": 0}, "limit"),
        ({"limit": 100_001}, "limit"),
        ({"limit": None}, "limit"),
        ({"overflow": "explode"}, "overflow"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_cap_names_its_field_and_changes_nothing(
    change: dict[str, Any], attr: str, client: APIClient, db: None
) -> None:
    answer = client.put(CAPS, {**CAP, **change}, format="json")
    assert (answer.status_code, [one["attr"] for one in answer.json()["errors"]]) == (400, [attr])
    assert not FrequencyCap.objects.exists()


def test_smart_send_is_off_until_it_is_switched_on(client: APIClient, organization: Organization) -> None:
    off = {"enabled": False, "max_wait_hours": 24, "engagements": 0}
    assert client.get(SMART).json() == off
    assert client.put(SMART, {"enabled": True, "max_wait_hours": 48}, format="json").status_code == 200
    assert client.put(SMART, {"enabled": True}, format="json").json() == {
        "enabled": True, "max_wait_hours": 48, "engagements": 0,
    }  # fmt: skip
    policy = catalog_of(organization.id).smart_send
    assert policy is not None
    assert policy.max_wait.total_seconds() == 48 * 3600
    for wrong in (0, 169):
        answer = client.put(SMART, {"enabled": True, "max_wait_hours": wrong}, format="json")
        assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, "max_wait_hours")


def test_they_are_not_for_members_nor_for_other_organizations(
    client: APIClient, api_client: Callable[..., APIClient], member: User, other_organization: Organization,
    make_api_key: Callable[..., Any],
) -> None:  # fmt: skip
    for address in (CAPS, SMART):
        assert api_client(member).get(address).status_code == 403
        assert (
            api_client(make_api_key(other_organization, "notifications:send")[1]).get(address).status_code
            == 403
        )
    client.put(CAPS, CAP, format="json")
    other = api_client(make_api_key(other_organization, "admin")[1])
    assert caps(other) == []
    assert other.delete(f"{CAPS}?channel=email&period=day").status_code == 404
    assert len(caps(client)) == 1


def test_staff_set_them_in_the_admin_too(desk: Client, organization: Organization, member: User) -> None:
    add = reverse("admin:notifications_frequencycap_add")
    form = {"organization": str(organization.id), "channel": "", "period": "day", "limit": "2", "overflow": "digest",
            "is_active": "on"}  # fmt: skip
    assert b"At most so many per person" in desk.get(add).content
    assert desk.post(add, form).status_code == 302
    cap = FrequencyCap.objects.get()
    assert (cap.channel, cap.limit, catalog_of(organization.id).caps[0].limit) == ("", 2, 2)
    again = desk.post(add, form)
    assert again.status_code == 200
    assert b"already exists" in again.content
    change = reverse("admin:notifications_frequencycap_change", args=[cap.id])
    assert b"From 1 to" in desk.post(change, {**form, "limit": "200000"}).content
    assert desk.post(change, {**form, "limit": "4"}).status_code == 302
    assert catalog_of(organization.id).caps[0].limit == 4
    policy = {"organization": str(organization.id), "is_enabled": "on", "max_wait_hours": "12"}
    assert desk.post(reverse("admin:notifications_smartsendpolicy_add"), policy).status_code == 302
    assert SmartSendPolicy.objects.get().max_wait_hours == 12
    for name in ("frequencycap", "smartsendpolicy", "engagementhistogram"):
        assert desk.get(reverse(f"admin:notifications_{name}_changelist")).status_code == 200
    assert (
        desk.post(
            reverse("admin:notifications_frequencycap_delete", args=[cap.id]), {"post": "yes"}
        ).status_code
        == 302
    )
    assert catalog_of(organization.id).caps == ()
