"""What waits for its time goes by what the person wants when the time has come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.services.preferences import Change, set_switches
from notifications.services.sending import send_notification

from .conftest import states
from .smtp_server import SmtpServer


@pytest.mark.parametrize("scope", ["global", "category", "event_type"])
@pytest.mark.parametrize("critical", [False, True])
def test_what_is_switched_off_while_it_waits_does_not_go_out(
    scope: str, critical: bool, organization: Organization, make_event_type: Any, member: User, mail: SmtpServer,
    drain: Callable[..., int], due_now: Callable[[], None],
) -> None:  # fmt: skip
    make_event_type("news")
    send_notification(
        organization=organization, recipients=[member], event_type="news", critical=critical,
        scheduled_for=now() + dt.timedelta(hours=1),
    )  # fmt: skip
    key = {"global": "", "category": "general", "event_type": "news"}[scope]
    set_switches(organization=organization, user=member, changes=[Change(scope, key, "email", False)])
    due_now()
    drain()
    expected = ("sent", "accepted") if critical else ("suppressed", "preference")
    assert (states()["email"], len(mail.arrived)) == (expected, int(critical))
