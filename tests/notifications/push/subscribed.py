"""Browsers and apps of people, and accounts that push to them."""

from __future__ import annotations

import json
from typing import Any

from accounts.models import Organization, User
from notifications.models import ProviderAccount, PushSubscription
from notifications.services import push_subscriptions
from notifications.stand_ins import Device

API = "/api/v1/push/"
MOZILLA = "https://updates.push.services.mozilla.com/wpush/v2/"


def row(provider: str, credentials: dict[str, str], **fields: Any) -> ProviderAccount:
    return ProviderAccount.objects.create(
        channel="push", provider=provider, name=provider, credentials=json.dumps(credentials), **fields
    )


def browser(user: User, organization: Organization, device: Device, **fields: Any) -> PushSubscription:
    made = push_subscriptions.subscribe(
        organization=organization,
        user=user,
        endpoint=device.endpoint,
        keys={"p256dh": device.p256dh, "auth": device.auth},
        **fields,
    )
    return PushSubscription.objects.get(id=made["id"])


def app(user: User, organization: Organization, token: str) -> PushSubscription:
    made = push_subscriptions.subscribe(organization=organization, user=user, kind="fcm", endpoint=token)
    return PushSubscription.objects.get(id=made["id"])
