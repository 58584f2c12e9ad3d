"""What is cancelled goes out no more, as far as it can still be stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import Conflict, NotFound
from castcomm.common.ids import new_id
from notifications.models import Delivery, EventType
from notifications.services import carrying, outbox
from notifications.services.deliveries import cancel_notification, cancel_request
from notifications.services.sending import SendResult
from notifications.vocabulary import DeliveryStatus, Reason

from .conftest import states
from .smtp_server import SmtpServer

Send = Callable[..., SendResult]
Drain = Callable[..., int]
NORMAL = 2


def test_cancel_before_it_goes(
    send: Send, news: EventType, member: User, organization: Organization, mail: SmtpServer, drain: Drain
) -> None:
    [sent] = send(member).notifications
    result = cancel_notification(organization=organization, notification_id=sent.id)
    assert (result.stopped, result.too_late) == (["email"], ["in_app"])
    drain()
    assert mail.arrived == []
    assert states()["email"] == ("cancelled", "cancelled")
    with pytest.raises(Conflict):
        cancel_notification(organization=organization, notification_id=sent.id)


def test_cancel_after_it_went(
    send: Send, news: EventType, member: User, organization: Organization, mail: SmtpServer, drain: Drain
) -> None:
    [sent] = send(member).notifications
    drain()
    with pytest.raises(Conflict) as caught:
        cancel_notification(organization=organization, notification_id=sent.id)
    assert caught.value.code == "too_late"
    with pytest.raises(NotFound):
        cancel_notification(organization=organization, notification_id=new_id())


def test_cancel_while_it_is_tried_lets_it_be_tried_no_more(
    send: Send, news: EventType, member: User, mail: SmtpServer, drain: Drain, due_now: Any,
    organization: Organization, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    mail.at["RCPT"] = "450 Later"
    [sent] = send(member).notifications
    results: list[Any] = []
    deliver_all = carrying.deliver_all

    def cancel_meanwhile(*given: Any) -> Any:
        results.append(cancel_notification(organization=organization, notification_id=sent.id))
        return deliver_all(*given)

    monkeypatch.setattr(carrying, "deliver_all", cancel_meanwhile)
    drain()
    assert (results[0].stopped, "email" in results[0].too_late) == ([], True)
    mail.at.clear()
    due_now()
    drain()
    assert states()["email"] == ("cancelled", "cancelled")
    assert mail.arrived == []


def test_cancel_a_whole_request(
    send: Send,
    news: EventType,
    member: User,
    organization: Organization,
    mail: SmtpServer,
    drain: Drain,
    due_now: Any,
) -> None:
    """What is being tried at this moment may arrive, and is not tried again."""
    mail.at["RCPT"] = "450 Later"
    result = send(member, "a@example.com", "b@example.com")
    lease, claimed = outbox.claim("email", NORMAL, now=now(), limit=1)
    assert cancel_request(organization=organization, request_id=result.request_id) == 2
    owner = Delivery.objects.get(id=claimed[0]).organization_id
    retrying = outbox.Settled(claimed[0], owner, DeliveryStatus.PENDING, Reason.RETRYING, 1, due_at=now())
    outbox.settle(lease, [retrying], now=now())
    due_now()
    drain()
    assert set(Delivery.objects.filter(channel="email").values_list("status", flat=True)) == {"cancelled"}
