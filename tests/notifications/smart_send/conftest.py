"""An organization with smart send, and people with habits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest

from accounts.models import Organization, User
from notifications.models import SmartSendPolicy
from notifications.services.smart_send import engagement
from notifications.services.smart_send.engagement import Engagement, count

MONDAY = dt.datetime(2026, 5, 4, 0, 30, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _forget_policies() -> Iterator[None]:
    engagement.forget_policies()
    yield
    engagement.forget_policies()


@pytest.fixture
def smart(organization: Organization) -> SmartSendPolicy:
    return SmartSendPolicy.objects.create(organization=organization, is_enabled=True, max_wait_hours=168)


@pytest.fixture
def habit(organization: Organization) -> Callable[..., None]:
    """Let a person have attended to things so many times at an hour of the week (0: Monday, midnight to one, UTC)."""

    def make(user: User, hour: int, times: int = 1) -> None:
        one = Engagement(
            organization_id=organization.id,
            user_id=user.id,
            zone="UTC",
            occurred_at=MONDAY + dt.timedelta(hours=hour),
        )
        count([one] * times)

    return make
