"""What apps know of a push, relayed with an API key."""

from __future__ import annotations

from typing import Any

import pytest

from notifications.models import ProviderEvent

pytestmark = pytest.mark.django_db
PLACE = "/webhooks/push/feedback"


@pytest.fixture
def pushed(sent: Any, member: Any, organization: Any) -> Any:
    from notifications.models import PushSubscription

    PushSubscription.objects.create(organization=organization, user=member, endpoint_index="0" * 32)
    return sent("fcm", channel="push")


@pytest.fixture
def app(api_client: Any, make_api_key: Any, organization: Any) -> Any:
    return api_client(make_api_key(organization, "events:write")[1])


def test_an_opened_push_is_opened(app: Any, pushed: Any) -> None:
    told = [{"delivery": str(pushed.id), "event": kind} for kind in ("delivered", "opened")]
    assert app.post(PLACE, {"events": told}).json() == {"new": 2, "duplicates": 0}
    assert app.post(PLACE, {"events": told}).json() == {"new": 0, "duplicates": 2}
    pushed.refresh_from_db()
    assert pushed.status == "opened"


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "events"),
        ({"events": []}, "events"),
        ({"events": [{"event": "opened"}]}, "events.0.delivery"),
        ({"events": [{"delivery": "x", "event": "opened"}]}, "events.0.delivery"),
        ({"events": [{"delivery": "0" * 32, "event": "bounced"}]}, "events.0.event"),
        ({"events": [{"delivery": "0" * 32, "event": "opened", "occurred_at": "2199-01-01T00:00:00Z"}]},
         "events.0.occurred_at"),
    ],
)  # fmt: skip
def test_errors_name_the_field(app: Any, body: Any, attr: str) -> None:
    answer = app.post(PLACE, body)
    assert answer.status_code == 400
    assert attr in [error["attr"] for error in answer.json()["errors"]]


def test_foreign_deliveries_and_other_channels_are_not_found(
    api_client: Any, make_api_key: Any, other_organization: Any, app: Any, pushed: Any, sent: Any
) -> None:
    foreign = api_client(make_api_key(other_organization, "events:write")[1])
    told = {"events": [{"delivery": str(pushed.id), "event": "opened"}]}
    assert foreign.post(PLACE, told).status_code == 404
    mail = {"events": [*told["events"], {"delivery": str(sent().id), "event": "opened"}]}
    assert app.post(PLACE, mail).status_code == 404
    assert not ProviderEvent.objects.exists()


def test_only_keys_that_may(api_client: Any, make_api_key: Any, organization: Any, pushed: Any) -> None:
    told = {"events": [{"delivery": str(pushed.id), "event": "opened"}]}
    assert api_client().post(PLACE, told).status_code == 401
    assert (
        api_client(make_api_key(organization, "notifications:read")[1]).post(PLACE, told).status_code == 403
    )
