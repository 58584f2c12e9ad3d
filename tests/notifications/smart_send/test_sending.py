"""Low priority messages wait for a good hour where an organization wants it so; nothing else does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from castcomm.common.clock import now
from notifications.models import Delivery, SmartSendPolicy
from notifications.services import composing, dispatch, send_checks

from ..conftest import states
from ..smtp_server import SmtpServer
from .conftest import MONDAY

Send = Callable[..., Any]
EVENING = 18


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> dt.datetime:
    moment = MONDAY.replace(hour=12)
    monkeypatch.setattr(send_checks, "current_time", lambda: moment)
    return moment


@pytest.fixture
def low(make_event_type: Callable[..., Any]) -> Any:
    return make_event_type("news", priority=3, channels=["in_app", "email"])


def test_only_what_is_low_and_waits_for_nothing_else_waits_for_a_good_hour(
    send: Send, low: Any, member: User, smart: SmartSendPolicy, habit: Callable[..., None], noon: dt.datetime
) -> None:
    habit(member, EVENING, 30)
    send(member)
    waits = Delivery.objects.get(channel="email")
    assert states() == {"in_app": ("delivered", "in_inbox"), "email": ("deferred", "smart_time")}
    assert waits.due_at == MONDAY.replace(hour=EVENING, minute=0)
    assert {"hour": 18, "weekday": 0, "observations": 30, "zone": "UTC"}.items() <= waits.decision.items()
    for how, expected in (
        ({"priority": "normal"}, ("pending", "default")),
        ({"critical": True}, ("pending", "critical")),
        ({"scheduled_for": now() + dt.timedelta(days=1)}, ("deferred", "scheduled")),
    ):
        Delivery.objects.all().delete()
        send(member, **how)
        assert states()["email"] == expected
    for change in ({"max_wait_hours": 3}, {"is_enabled": False}):
        Delivery.objects.all().delete()
        for name, value in change.items():
            setattr(smart, name, value)
        smart.save()
        send(member)
        assert states()["email"] == ("pending", "default")


def test_it_does_not_wait_until_it_has_expired_nor_into_quiet_hours(
    send: Send, low: Any, member: User, smart: SmartSendPolicy, habit: Callable[..., None], noon: dt.datetime,
    organization: Any,
) -> None:  # fmt: skip
    habit(member, EVENING, 30)
    habit(member, 15, 10)
    low.expires_after = dt.timedelta(hours=4)
    low.save()
    send(member)
    assert Delivery.objects.get(channel="email").due_at == MONDAY.replace(hour=15, minute=0)


def test_it_goes_out_when_its_hour_has_come_and_does_not_wait_for_a_better_one(
    send: Send, low: Any, member: User, smart: SmartSendPolicy, habit: Callable[..., None], noon: dt.datetime,
    mail: SmtpServer, drain: Callable[..., int], due_now: Callable[[], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    habit(member, EVENING, 30)
    send(member)
    habit(member, 40, 300)
    for module in (dispatch, composing):
        monkeypatch.setattr(module, "current_time", lambda: MONDAY.replace(hour=EVENING))
    due_now()
    drain(priority=3)
    assert states()["email"] == ("sent", "accepted")
    assert len(mail.arrived) == 1
