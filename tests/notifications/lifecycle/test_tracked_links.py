"""A tracked link lives as long as the youngest of the mails that lead over it, and a little longer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from accounts.models import Organization
from castcomm.common.clock import now
from castcomm.common.ids import new_id
from notifications import tasks
from notifications.models import RetentionPolicy, TrackedLink
from notifications.services import retention, tracking

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("for_ever", "tracked")]
Send = Callable[..., None]


@pytest.fixture
def tracked(settings: Any) -> None:
    settings.TRACKING_ENABLED = True


@pytest.fixture
def policy(organization: Organization) -> RetentionPolicy:
    return RetentionPolicy.objects.create(organization=organization, keep_notifications=10)


@pytest.fixture
def send(django_capture_on_commit_callbacks: Any) -> Send:
    """A mail that links to these addresses."""

    def track(organization: Organization, *urls: str) -> None:
        html = "".join(f'<a href="{url}">x</a>' for url in urls)
        with django_capture_on_commit_callbacks(execute=True):
            tracking.add_tracking(
                html, organization_id=organization.id, delivery_id=new_id(), opens=False, clicks=True
            )

    return track


def in_days(days: float) -> Any:
    return time_machine.travel(now() + dt.timedelta(days=days), tick=False)


def urls() -> set[str]:
    return {
        url.removeprefix("https://a.example/") for url in TrackedLink.objects.values_list("url", flat=True)
    }


OLD, AGAIN = "https://a.example/old", "https://a.example/again"


def test_a_link_goes_when_the_last_mail_that_had_it_is_long_gone(
    organization: Organization, other_organization: Organization, policy: RetentionPolicy, send: Send
) -> None:
    send(organization, OLD, AGAIN)
    send(other_organization, OLD)  # which keeps everything
    with in_days(20):
        send(organization, AGAIN)
    with in_days(39):
        assert tasks.prune() == 0
    with in_days(41):
        assert tasks.prune() == 1
        assert list(TrackedLink.objects.filter(url=OLD).values_list("organization", flat=True)) == [
            other_organization.id
        ]
        assert TrackedLink.objects.filter(url=AGAIN).exists()
        send(organization, OLD)  # and is stored anew when a mail has it again
        assert TrackedLink.objects.filter(url=OLD).count() == 2
    with in_days(62):
        assert tasks.prune() == 1
    assert urls() == {"old"}


def test_they_go_in_batches(
    organization: Organization, policy: RetentionPolicy, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    send(organization, *(f"https://a.example/{number}" for number in range(5)))
    with in_days(41):
        assert tasks.prune() == 5
    assert urls() == set()


def test_a_link_is_renewed_once_a_day_by_whatever_process(
    organization: Organization, send: Send, django_assert_num_queries: Any
) -> None:
    with time_machine.travel(dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC), tick=False):
        send(organization, OLD)
        first = TrackedLink.objects.get()
    with time_machine.travel(dt.datetime(2026, 3, 1, 23, tzinfo=dt.UTC), tick=False):
        with django_assert_num_queries(0):
            send(organization, OLD)
        tracking.remembered.clear()
        send(organization, OLD)
        assert TrackedLink.objects.get().created_at == first.created_at
    with time_machine.travel(dt.datetime(2026, 3, 3, 12, tzinfo=dt.UTC), tick=False):
        with django_assert_num_queries(1):
            send(organization, OLD, AGAIN)
        with django_assert_num_queries(0):
            send(organization, OLD, AGAIN)
        renewed = TrackedLink.objects.get(url=OLD)
    assert renewed.id == first.id
    assert renewed.created_at - first.created_at == dt.timedelta(days=2)
