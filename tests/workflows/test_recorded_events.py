"""Events are kept for as long as each organization's policy says."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable

import pytest

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.ids import new_id
from notifications.models import RetentionPolicy
from notifications.services.retention_periods import first_id_at
from workflows.models import RecordedEvent
from workflows.services import recorded_events
from workflows.services.triggering import report_event
from workflows.tasks import forget_recorded_events

pytestmark = pytest.mark.django_db


def test_events_go_when_their_organization_keeps_them_no_longer(
    make_organization: Callable[..., Organization],
    make_user: Callable[..., User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorded_events, "BATCH", 2)
    kept = {}
    # Ten days, for ever, and the default of 180 days.
    for policy, ages in (
        ({"keep_events": 10}, [9]),
        ({"keep_events": None}, [9, 11, 181, 900]),
        ({}, [9, 11]),
    ):
        organization = make_organization()
        if policy:
            RetentionPolicy.objects.create(organization=organization, **policy)
        user = make_user(organization=organization)
        for age in (9, 11, 181, 900):
            _record(user, organization, age)
        report_event(organization=organization, event="seen", user=user)
        kept[organization.id] = [0, *ages]
    assert forget_recorded_events() == 3 + 2
    for organization_id, ages in kept.items():
        rows = RecordedEvent.objects.for_organization(organization_id).filter(event="seen")
        assert sorted((now() - one.created_at).days for one in rows) == ages
    assert forget_recorded_events() == 0


def _record(user: User, organization: Organization, age: int) -> None:
    moment = now() - dt.timedelta(days=age, minutes=1)
    made = RecordedEvent.objects.create(
        id=uuid.UUID(int=first_id_at(moment).int | new_id().int % 2**64),
        organization=organization,
        user=user,
        event="seen",
        source="test",
    )
    RecordedEvent.objects.filter(id=made.id).update(created_at=moment)
