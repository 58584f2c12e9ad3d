"""Devices that have been silent for long are removed, a few at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.ids import new_id
from notifications.models import PushSubscription
from notifications.services.push_subscriptions import forget_unused

from .conftest import ago


@pytest.fixture
def devices(organization: Organization, member: User, settings: Any) -> list[PushSubscription]:
    """Seven of a person; the first and the last were used within the days that count."""
    settings.PUSH_UNUSED_DAYS = 90
    return PushSubscription.objects.bulk_create(
        PushSubscription(
            organization=organization, user=member, kind="fcm", endpoint="token", endpoint_index=new_id().hex,
            created_at=ago(days=200), last_used_at=used,
        )
        for used in (ago(days=89), *[ago(days=91)] * 3, *[None] * 2, ago(days=1))
    )  # fmt: skip


def left() -> set[Any]:
    return set(PushSubscription.objects.values_list("id", flat=True))


def ids(rows: Iterable[PushSubscription]) -> set[Any]:
    return {row.id for row in rows}


def test_all_of_them_go_whatever_the_size_of_a_batch(
    devices: list[PushSubscription], django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(3):
        assert forget_unused(batch=2) == 5
    assert left() == ids([devices[0], devices[-1]])
    with django_assert_num_queries(1):
        assert forget_unused(batch=2) == 0


def test_what_there_is_no_time_for_is_the_next_runs(devices: list[PushSubscription]) -> None:
    answers = iter([False, True])
    assert forget_unused(batch=2, stop=lambda: next(answers)) == 2
    assert left() == ids([devices[0], *devices[3:]])
    assert forget_unused(batch=2) == 3


def test_zero_days_keep_them_for_ever(devices: list[PushSubscription], settings: Any) -> None:
    settings.PUSH_UNUSED_DAYS = 0
    assert forget_unused() == 0
    assert left() == ids(devices)
