"""Push services on loopback, and what pushes need: keys, accounts, an event type."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from accounts.models import User
from notifications.models import EventType, ProviderAccount
from notifications.services import vapid
from notifications.stand_ins import StandIn, stand_in
from tests.notifications.providers.subjects import firebase_credentials

from .subscribed import row


@pytest.fixture(autouse=True)
def _nothing_inside(settings: Any) -> None:
    """As in production; ``server`` lets its own push services in."""
    settings.WEBPUSH_ALLOW_LOOPBACK = False


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as made, override_settings(WEBPUSH_ALLOW_LOOPBACK=True):
        yield made


@pytest.fixture
def firebase(server: StandIn, db: None) -> ProviderAccount:
    """An account at Firebase, kept by staff for everybody."""
    return row("fcm", {**firebase_credentials(server), "api_url": server.url("fcm")})


@pytest.fixture
def keys(db: None) -> str:
    """VAPID keys, made as by the first browser that asks; the public one."""
    vapid.keep_new_keys()
    found: str = json.loads(ProviderAccount.objects.get(provider="webpush").credentials)["vapid_public_key"]
    return found


@pytest.fixture
def news(make_event_type: Callable[..., EventType]) -> EventType:
    """An event type that goes out by push alone."""
    return make_event_type("news", channels=["push"])


@pytest.fixture
def client(api_client: Callable[..., APIClient], member: User) -> APIClient:
    return api_client(member)
