"""A provider that recognises a second try is asked again, and nobody else: Resend, whose keys last for a day."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError

from castcomm.common.clock import now
from notifications.models import Delivery, DeliveryAttempt, ProviderAccount
from notifications.providers.email.anymail_adapter import AnymailProvider
from notifications.services import breakers, carrying, composing, dispatch, outbox
from notifications.stand_ins import StandIn, stand_in
from notifications.vocabulary import Priority

NORMAL = Priority.NORMAL.value


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    settings.DEBUG = True  # accounts may name a stand-in
    settings.EMAIL_FROM = "castcomm@example.com"
    monkeypatch.setattr(AnymailProvider, "read_timeout", 0.4)
    yield
    breakers.forget()


@pytest.fixture
def far() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture
def accounts(far: StandIn, db: None) -> list[str]:
    """Resend first, then SendGrid; their keys."""
    made = []
    for position, provider in enumerate(("resend", "sendgrid"), start=1):
        credentials = {"api_key": "SG.test", "api_url": far.url(provider)}
        row = ProviderAccount.objects.create(
            channel="email", provider=provider, name=provider, position=position,
            credentials=json.dumps(credentials),
        )  # fmt: skip
        made.append(str(row.id))
    return made


@pytest.fixture
def hung(far: StandIn, accounts: list[str], send: Any, make_event_type: Any) -> Callable[[], Delivery]:
    """A mail that Resend has taken without saying so."""
    make_event_type("bill", channels=["email"])
    send({"email": "one@example.com"}, event_type="bill")
    far.break_("resend", mode="hang")
    dispatch.send_due_batch("email", NORMAL)
    far.mend("resend")
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason, delivery.account) == ("pending", "same_provider", accounts[0])
    return Delivery.objects.get


def try_again() -> None:
    Delivery.objects.filter(status="pending").update(due_at=now() - dt.timedelta(seconds=1))
    dispatch.send_due_batch("email", NORMAL)


def test_it_is_asked_again_with_the_same_key(hung: Callable[[], Delivery], far: StandIn) -> None:
    try_again()
    assert hung().status == "sent"
    assert (far.accepted_count("resend"), far.duplicates("resend"), far.calls("sendgrid")) == (1, 0, 0)


def test_while_it_refuses_nobody_else_is_asked(hung: Callable[[], Delivery], far: StandIn) -> None:
    far.break_("resend", mode="503")
    try_again()
    assert (hung().status, hung().reason, far.calls("sendgrid")) == ("pending", "same_provider", 0)


def test_when_the_key_may_be_forgotten_it_is_parked(hung: Callable[[], Delivery], far: StandIn) -> None:
    DeliveryAttempt.objects.update(started_at=now() - dt.timedelta(hours=23, minutes=30))
    calls = far.calls("resend")
    try_again()
    assert (hung().status, hung().reason) == ("unknown", "ambiguous")
    assert (far.calls("resend"), far.calls("sendgrid")) == (calls, 0)


def test_a_mail_that_cannot_be_composed_for_once_stays_with_its_provider(
    hung: Callable[[], Delivery], far: StandIn, monkeypatch: pytest.MonkeyPatch, accounts: list[str]
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(composing, "message_context", lambda **_: 1 / 0)
        try_again()
    assert (hung().status, hung().reason, hung().account) == ("pending", "same_provider", accounts[0])
    try_again()
    assert (hung().status, far.duplicates("resend"), far.calls("sendgrid")) == ("sent", 0, 0)


def test_what_is_no_longer_wanted_may_still_have_left(hung: Callable[[], Delivery]) -> None:
    delivery = hung()
    delivery.notification.cancelled_at = now()
    delivery.notification.save()
    try_again()
    assert (hung().status, hung().reason) == ("unknown", "ambiguous")


def test_a_worker_that_dies_with_it_leaves_it_where_it_was(
    hung: Callable[[], Delivery], accounts: list[str], settings: Any
) -> None:
    Delivery.objects.update(due_at=now())
    outbox.claim("email", NORMAL, now=now() + dt.timedelta(seconds=1), limit=1)
    Delivery.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    outbox.rescue(now=now(), idempotent=["resend"])
    assert (hung().status, hung().reason, hung().account) == ("pending", "same_provider", accounts[0])
    settings.EMAIL_MAX_RETRIES = 1
    outbox.claim("email", NORMAL, now=now() + dt.timedelta(hours=1), limit=1)
    Delivery.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    outbox.rescue(now=now(), idempotent=["resend"])
    assert hung().status == "unknown", "given up, and not called dead: it may have left"


def test_an_account_that_is_gone_leaves_it_to_a_person(
    hung: Callable[[], Delivery], far: StandIn, accounts: list[str]
) -> None:
    ProviderAccount.objects.get(id=accounts[0]).delete()
    try_again()
    assert (hung().status, far.calls("sendgrid")) == ("unknown", 0)


def test_a_suppression_that_fails_keeps_no_other_mail_from_going_out(
    far: StandIn, accounts: list[str], send: Any, make_event_type: Any, monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:  # fmt: skip
    def away(**_: Any) -> None:
        raise DatabaseError("away")

    settings.EMAIL_QUEUE_CONCURRENT = 1
    make_event_type("bill", channels=["email"])
    send(*({"email": f"p{number}@example.com"} for number in range(4)), event_type="bill")
    for number in range(4):
        far.refuse_recipient("postmark", f"p{number}@example.com")
    ProviderAccount.objects.all().delete()
    credentials = {"api_key": "test", "api_url": far.url("postmark")}
    ProviderAccount.objects.create(
        channel="email", provider="postmark", name="p", credentials=json.dumps(credentials)
    )
    monkeypatch.setattr(carrying, "suppress_address", away)
    dispatch.send_due_batch("email", NORMAL)
    assert far.calls("postmark") == 4
    assert set(Delivery.objects.values_list("status", flat=True)) == {"failed"}


def test_files_beyond_what_fits_wait_for_the_next_batch(
    far: StandIn, accounts: list[str], send: Any, make_event_type: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composing, "MAX_FILE_BYTES", 250)
    make_event_type("bill", channels=["email"])
    for number in range(4):
        file = {"filename": "a.txt", "content_type": "text/plain", "content": b"x" * 100}
        send({"email": f"p{number}@example.com"}, event_type="bill", attachments=[file])
    sizes = []
    while True:
        before = far.accepted_count("resend")
        if not dispatch.send_due_batch("email", NORMAL):
            break
        sizes.append(far.accepted_count("resend") - before)
    assert sizes == [2, 2]
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {("sent", 1)}
