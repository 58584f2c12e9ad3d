"""What receipts do to a delivery: forward only, whatever comes first, and never a second message."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from castcomm.common import events
from castcomm.common.clock import now
from castcomm.common.ids import new_id
from notifications.events import DeliveryMoved
from notifications.models import Delivery, DeliveryAttempt, ProviderEvent, Suppression
from notifications.services import outbox
from notifications.services.deliveries import requeue
from notifications.services.outbox import Settled
from notifications.services.receipts import Recorded, record_receipts
from notifications.vocabulary import DeliveryStatus, Outcome, Reason, ReceiptKind
from notifications.webhooks.base import Receipt

pytestmark = pytest.mark.django_db
START = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)


def receipt(kind: str, delivery: Delivery, **fields: Any) -> Receipt:
    given = {
        "provider": delivery.provider or "sendgrid",
        "account": "env:sendgrid",
        "event_key": new_id().hex,
        "kind": ReceiptKind(kind),
        "occurred_at": START,
        "delivery_id": delivery.id,
        "recipient": "member@example.com",
        **fields,
    }
    return Receipt(**given)


def state(delivery: Delivery) -> tuple[Any, ...]:
    delivery.refresh_from_db()
    attempts = DeliveryAttempt.objects.filter(delivery=delivery).values_list("number", "outcome")
    return (
        delivery.status,
        delivery.reason,
        delivery.delivered_at,
        delivery.opened_at,
        delivery.clicked_at,
        tuple(attempts),
        tuple(Suppression.objects.values_list("address_index", "reason", "expires_at")),
    )


@pytest.fixture
def reset(sent: Callable[..., Delivery]) -> Callable[..., Delivery]:
    """The same delivery again as it was, without any receipt."""
    made: dict[str, Delivery] = {}

    def again(status: str, outcome: str) -> Delivery:
        if not made:
            made["one"] = sent()
        delivery = made["one"]
        ProviderEvent.objects.all().delete()
        Suppression.objects.all().delete()
        reasons = {"sent": "accepted", "dead": "exhausted", "failed": "refused"}
        Delivery.objects.filter(id=delivery.id).update(
            status=status, reason=reasons.get(status, "ambiguous"), provider="sendgrid", sent_at=None,
            delivered_at=None, opened_at=None, clicked_at=None, provider_message_id="",
        )  # fmt: skip
        DeliveryAttempt.objects.filter(delivery=delivery).update(outcome=outcome, provider_message_id="")
        delivery.refresh_from_db()
        return delivery

    return again


BEGINNINGS = [
    ("sent", "sent"), ("unknown", "unknown"), ("pending", "unknown"), ("sending", ""), ("dead", "unknown"),
    ("failed", "permanent"), ("cancelled", "unknown"),
]  # fmt: skip
told = st.lists(
    st.tuples(st.sampled_from(ReceiptKind.values), st.integers(0, 5), st.booleans()), min_size=1, max_size=7
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    beginning=st.sampled_from(BEGINNINGS),
    told=told,
    order=st.randoms(use_true_random=False),
    cut=st.integers(1, 3),
)
def test_the_order_of_receipts_makes_no_difference(
    reset: Any, beginning: tuple[str, str], told: Any, order: random.Random, cut: int
) -> None:
    """Any order, any grouping into requests, and repeated: the same state, times, attempts, suppressions."""
    ends = []
    for round_ in range(2):
        delivery = reset(*beginning)
        receipts = [
            receipt(
                kind,
                delivery,
                event_key=f"e{number}",
                occurred_at=START + dt.timedelta(minutes=minute),
                is_automatic=automatic and kind in ("opened", "clicked"),
            )
            for number, (kind, minute, automatic) in enumerate(told)
        ]
        if round_:
            order.shuffle(receipts)
        size = cut if round_ else len(receipts)
        for at in range(0, len(receipts), size):
            record_receipts(receipts[at : at + size])
        again = record_receipts(receipts)
        assert (again.new, again.applied) == (0, 0)
        ends.append(state(delivery))
    assert ends[0] == ends[1]


RANKED = ["accepted", "failed", "delivered", "bounced", "opened", "clicked", "complained"]


@pytest.mark.parametrize(("earlier", "later"), list(itertools.combinations(RANKED, 2)))
def test_the_state_that_says_more_stays(sent: Any, earlier: str, later: str) -> None:
    """The table of docs/receipts.md, pair by pair."""
    delivery = sent()
    record_receipts([receipt(later, delivery)])
    delivery.refresh_from_db()
    expected = delivery.status
    record_receipts([receipt(earlier, delivery)])
    delivery.refresh_from_db()
    assert delivery.status == expected == later


def test_delays_and_soft_bounces_are_recorded_only(sent: Any) -> None:
    delivery = sent()
    done = record_receipts([receipt("deferred", delivery), receipt("soft_bounced", delivery)])
    assert done == Recorded(new=2, duplicates=0, applied=0)
    delivery.refresh_from_db()
    assert delivery.status == "sent"
    assert not Suppression.objects.exists()


def test_times_are_the_earliest(sent: Any) -> None:
    delivery = sent()
    for minutes in (5, 2, 9):
        moment = START + dt.timedelta(minutes=minutes)
        record_receipts(
            [receipt(kind, delivery, occurred_at=moment) for kind in ("delivered", "opened", "clicked")]
        )
    delivery.refresh_from_db()
    first = START + dt.timedelta(minutes=2)
    assert (delivery.delivered_at, delivery.opened_at, delivery.clicked_at) == (first, first, first)


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [("accepted", "sent", "sent"), ("delivered", "delivered", "sent"), ("deferred", "sent", "sent"),
     ("failed", "failed", "permanent"), ("bounced", "bounced", "sent"), ("opened", "opened", "sent")],
)  # fmt: skip
def test_a_late_receipt_resolves_what_nobody_knew(sent: Any, kind: str, status: str, outcome: str) -> None:
    delivery = sent(status="unknown", outcome="unknown")
    attempt = DeliveryAttempt.objects.get()
    record_receipts([receipt(kind, delivery, provider_message_id="sg-1")])
    delivery.refresh_from_db()
    attempt.refresh_from_db()
    assert (delivery.status, attempt.outcome) == (status, outcome)
    assert delivery.provider_message_id == attempt.provider_message_id == "sg-1"
    assert delivery.sent_at == attempt.started_at


def test_what_waits_for_a_retry_and_was_accepted_is_not_sent_again(sent: Any, mail: Any, drain: Any) -> None:
    delivery = sent(status="pending", outcome="unknown", due_at=now() - dt.timedelta(minutes=1))
    record_receipts([receipt("accepted", delivery)])
    drain()
    delivery.refresh_from_db()
    assert delivery.status == "sent"
    assert not mail.arrived


def test_what_staff_requeued_is_not_held_back_by_reports_of_the_first_try(sent: Any) -> None:
    delivery = sent(message_id="sg-1")
    record_receipts([receipt("failed", delivery, provider_message_id="sg-1")])
    assert requeue([delivery.id])
    record_receipts([receipt(kind, delivery, provider_message_id="sg-1") for kind in ("accepted", "failed")])
    delivery.refresh_from_db()
    assert delivery.status == "pending"
    # That it did arrive settles it all the same.
    record_receipts([receipt("delivered", delivery, provider_message_id="sg-1")])
    delivery.refresh_from_db()
    assert delivery.status == "delivered"


def test_a_provider_that_gave_up_says_nothing_of_the_one_that_took_over(sent: Any) -> None:
    delivery = sent("sendgrid", outcome="unknown")
    DeliveryAttempt.objects.create(
        delivery=delivery, number=2, provider="resend", account="env:resend", started_at=now(), outcome="sent"
    )
    Delivery.objects.filter(id=delivery.id).update(provider="resend")
    record_receipts([receipt("failed", delivery, provider="sendgrid")])
    delivery.refresh_from_db()
    assert delivery.status == "sent"
    assert list(DeliveryAttempt.objects.values_list("outcome", flat=True)) == ["permanent", "sent"]
    # Both took it, and the first one reports that it arrived: found by our id, although the second sent it.
    record_receipts([receipt("delivered", delivery, provider="sendgrid")])
    delivery.refresh_from_db()
    assert (delivery.status, delivery.provider) == ("delivered", "resend")


def test_an_earlier_attempt_is_found_by_its_own_id(sent: Any) -> None:
    delivery = sent("sendgrid", message_id="sg-1")
    DeliveryAttempt.objects.create(
        delivery=delivery,
        number=2,
        provider="resend",
        started_at=now(),
        outcome="sent",
        provider_message_id="re-1",
    )
    Delivery.objects.filter(id=delivery.id).update(provider="resend", provider_message_id="re-1")
    record_receipts(
        [receipt("delivered", delivery, provider="sendgrid", delivery_id=None, provider_message_id="sg-1")]
    )
    delivery.refresh_from_db()
    assert delivery.status == "delivered"


@pytest.mark.parametrize(
    ("kind", "outcome", "status"),
    [("accepted", Outcome.SENT, "sent"), ("delivered", Outcome.SENT, "delivered"),
     ("delivered", Outcome.UNKNOWN, "delivered"), ("failed", Outcome.SENT, "failed")],
)  # fmt: skip
def test_a_receipt_that_is_quicker_than_the_providers_answer(
    sent: Any, kind: str, outcome: Outcome, status: str
) -> None:
    """The worker still waits for the answer, and then settles its attempt: the state stays where the receipt put it."""
    token = new_id()
    delivery = sent(
        status="sending", outcome="", lease_token=token, lease_until=now() + dt.timedelta(minutes=1)
    )
    attempt = DeliveryAttempt.objects.get()
    record_receipts([receipt(kind, delivery)])

    told = {Outcome.SENT: (DeliveryStatus.SENT, Reason.ACCEPTED)}
    settled_as = told.get(outcome, (DeliveryStatus.UNKNOWN, Reason.AMBIGUOUS))
    settled = Settled(
        delivery.id, delivery.organization_id, *settled_as, 1, attempt_id=attempt.id, outcome=outcome,
        provider="sendgrid", account="env:sendgrid", provider_message_id="sg-9" if outcome == Outcome.SENT else "",
    )  # fmt: skip
    outbox.settle(outbox.Lease(token, now()), [settled], now=now())

    delivery.refresh_from_db()
    attempt.refresh_from_db()
    assert (delivery.status, delivery.lease_token) == (status, None)
    assert attempt.outcome == "sent"
    if outcome == Outcome.SENT:
        assert delivery.provider_message_id == "sg-9"


def test_stronger_reasons_stay_on_the_list(sent: Any) -> None:
    delivery = sent()
    for kind, reason in (("bounced", "bounce"), ("complained", "complaint"), ("unsubscribed", "complaint")):
        record_receipts([receipt(kind, delivery)])
        assert Suppression.objects.get().reason == reason
    assert Suppression.objects.get().expires_at is None


def test_a_provider_that_names_nobody_suppresses_the_deliverys_address(sent: Any) -> None:
    record_receipts([receipt("bounced", sent(to={"email": "nobody@example.com"}), recipient="")])
    assert Suppression.objects.get().address == "nobody@example.com"


def test_apps_above_hear_of_moves(sent: Any) -> None:
    heard: list[DeliveryMoved] = []
    handler = events.subscribe(DeliveryMoved)(heard.append)
    try:
        first, second = sent(), sent(to={"email": "b@example.com"})
        record_receipts([receipt("delivered", first), receipt("accepted", second), receipt("clicked", first)])
    finally:
        events._handlers[DeliveryMoved].remove(handler)
    (event,) = heard
    (move,) = event.moves
    assert (move.delivery_id, move.before, move.status) == (first.id, "sent", "clicked")
    assert move.organization_id == first.organization_id


@pytest.mark.django_db(transaction=True)
def test_rows_that_somebody_else_holds_are_waited_for(sent: Any, run_beside: Any) -> None:
    """Dispatch settles one of them at this moment: the others do not wait for it, and it is not forgotten."""
    held, free = sent(), sent(to={"email": "b@example.com"})
    with run_beside(held) as release:
        done = record_receipts([receipt("delivered", held), receipt("delivered", free)])
    assert release.waited
    assert done == Recorded(new=2, duplicates=0, applied=2)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"delivered"}
