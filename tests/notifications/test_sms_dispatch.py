"""SMS through real accounts from the outbox to the far side: failover, opt-outs, what nobody knows."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from accounts.models import Organization
from notifications.models import Delivery, DeliveryAttempt, ProviderAccount, Suppression
from notifications.providers.sms import twilio as twilio_module
from notifications.services.sending import SendResult
from notifications.stand_ins import StandIn

from .conftest import states

PERSON = "+4915112345678"


@pytest.fixture
def sns_account(twilio_account: ProviderAccount, twilio_far: StandIn) -> ProviderAccount:
    """The second account, at Amazon."""
    given = {
        "access_key_id": "AKID",
        "secret_access_key": "secret",
        "region": "eu-central-1",
        "api_url": twilio_far.url("sns"),
    }
    return ProviderAccount.objects.create(
        channel="sms",
        provider="amazon_sns",
        name="Amazon",
        credentials=orjson.dumps(given).decode(),
        position=twilio_account.position + 1,
    )


@pytest.fixture
def text(send: Callable[..., SendResult], drain: Callable[..., int]) -> Callable[[], Delivery]:
    def call() -> Delivery:
        send({"phone": PERSON}, content={"sms": "Hello"}, channels=["sms"])
        drain("sms")
        return Delivery.objects.latest("created_at")

    return call


@pytest.mark.parametrize("mode", ["429", "503", "401", "refuse"])
def test_a_definite_refusal_goes_on_to_the_next_account(
    mode: str, sns_account: ProviderAccount, twilio_far: StandIn, text: Callable[[], Delivery]
) -> None:
    twilio_far.break_("twilio", mode=mode)
    delivery = text()
    assert (delivery.status, delivery.provider) == ("sent", "amazon_sns")
    assert len(twilio_far.accepted("sns")) == 1
    outcomes = DeliveryAttempt.objects.order_by("number").values_list("provider", "outcome")
    assert list(outcomes) == [("twilio", "not_sent"), ("amazon_sns", "sent")]


@pytest.mark.parametrize("mode", ["hang", "reset", "500"])
def test_what_nobody_knows_stays_where_it_is(
    mode: str,
    sns_account: ProviderAccount,
    twilio_far: StandIn,
    text: Callable[[], Delivery],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(twilio_module, "READ_TIMEOUT", 0.4)
    twilio_far.break_("twilio", mode=mode)
    delivery = text()
    assert (delivery.status, delivery.provider) == ("unknown", "twilio")
    assert twilio_far.accepted("sns") == []
    assert len(twilio_far.accepted("twilio")) <= 1


def test_an_opt_out_that_only_twilio_knew_is_taken_over(
    sns_account: ProviderAccount,
    twilio_far: StandIn,
    text: Callable[[], Delivery],
    organization: Organization,
) -> None:
    twilio_far.refuse_recipient("twilio", PERSON)
    assert text().status == "failed"
    assert twilio_far.accepted("sns") == []
    entry = Suppression.objects.get()
    assert (entry.organization, entry.channel, entry.reason) == (organization, "sms", "unsubscribe")
    assert "21610" in entry.detail
    text()
    assert set(Delivery.objects.values_list("status", flat=True)) == {"failed", "suppressed"}
    assert twilio_far.calls("twilio") == 1
    assert states(status="suppressed") == {"sms": ("suppressed", "suppression")}
