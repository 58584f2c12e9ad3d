"""Topics and lists with people in them, and sends that go to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.crypto import blind_index
from notifications.models import Broadcast, EventType, ListMember, RecipientList, Topic, TopicSubscription
from notifications.services.sending import SendResult, send_notification

from ..test_sending import make_people

Publish = Callable[..., Broadcast]


@pytest.fixture
def make_topic(organization: Organization) -> Callable[..., Topic]:
    def make(key: str = "weekly", people: list[User] | None = None, **fields: Any) -> Topic:
        owner = fields.pop("organization", organization)
        topic = Topic.objects.create(organization=owner, key=key, name=key.title(), **fields)
        TopicSubscription.objects.bulk_create(
            TopicSubscription(topic=topic, user=one) for one in people or ()
        )
        return topic

    return make


@pytest.fixture
def make_list(organization: Organization) -> Callable[..., RecipientList]:
    def make(
        key: str = "press",
        people: list[User] | None = None,
        addresses: list[str] | None = None,
        **fields: Any,
    ) -> RecipientList:
        owner = fields.pop("organization", organization)
        made = RecipientList.objects.create(organization=owner, key=key, name=key.title(), **fields)
        ListMember.objects.bulk_create(
            [ListMember(list=made, user=one) for one in people or ()]
            + [ListMember(list=made, address=one, address_index=_index(one)) for one in addresses or ()]
        )
        return made

    return make


def _index(address: str) -> str:
    return blind_index(address, kind="email" if "@" in address else "phone")


@pytest.fixture
def people(organization: Organization) -> list[User]:
    return make_people(organization, 30)


@pytest.fixture
def publish(organization: Organization, news: EventType) -> Publish:
    """Send to groups; returns the broadcast."""

    def call(*recipients: Any, **fields: Any) -> Broadcast:
        fields.setdefault("event_type", "news")
        result: SendResult = send_notification(
            organization=organization, recipients=list(recipients), **fields
        )
        return Broadcast.objects.select_related("request").get(request_id=result.request_id)

    return call
