"""Twilio's status callbacks, signed over the public address and the form."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from notifications.models import ProviderEvent, Suppression
from notifications.providers.sms.twilio import status_callback
from notifications.services.provider_accounts import account_of

from . import senders

pytestmark = pytest.mark.django_db
PHONE = "+4915112345670"


@pytest.fixture
def texted(sent: Any) -> Any:
    return sent("twilio", channel="sms", to={"phone": PHONE}, message_id="SM1", status="sent")


def form(status: str, **fields: str) -> dict[str, str]:
    return {"MessageSid": "SM1", "MessageStatus": status, "To": PHONE, **fields}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("queued", "", "sent"),
        ("sent", "", "sent"),
        ("delivered", "", "delivered"),
        ("undelivered", "30003", "failed"),
        ("failed", "30008", "failed"),
        ("undelivered", "30005", "bounced"),
        ("undelivered", "30006", "bounced"),
    ],
)
def test_states_and_error_codes(
    make_account: Any, texted: Any, status: str, code: str, expected: str
) -> None:
    account = make_account("twilio")
    given = form(status, **({"ErrorCode": code} if code else {}))
    assert senders.twilio(given, account=account.id, delivery=texted.id).send().status_code == 200
    texted.refresh_from_db()
    assert texted.status == expected
    assert Suppression.objects.filter(channel="sms").exists() == (expected == "bounced")


def test_who_has_opted_out_is_suppressed(make_account: Any, texted: Any) -> None:
    account = make_account("twilio")
    given = form("failed", ErrorCode="21610")
    assert senders.twilio(given, account=account.id, delivery=texted.id).send().status_code == 200
    assert Suppression.objects.get().reason == "unsubscribe"
    texted.refresh_from_db()
    assert texted.status == "failed"


def test_the_sid_is_enough(make_account: Any, texted: Any) -> None:
    account = make_account("twilio")
    assert senders.twilio(form("delivered"), account=account.id).send().status_code == 200
    texted.refresh_from_db()
    assert texted.status == "delivered"


def test_the_address_given_to_twilio_is_the_one_that_answers(make_account: Any, texted: Any) -> None:
    account = account_of(make_account("twilio"))
    with override_settings(PUBLIC_URL="https://cast.example.com"):
        address = status_callback(account, str(texted.id))
        request = senders.twilio(form("delivered"), account=account.key, delivery=texted.id)
        assert address == "https://cast.example.com" + request.path
        # Behind a proxy the request comes in under another name and without TLS.
        assert request.send(HTTP_HOST="127.0.0.1").status_code == 200
    texted.refresh_from_db()
    assert texted.status == "delivered"


def test_forged_altered_and_misdirected_callbacks_are_refused(make_account: Any, texted: Any) -> None:
    account = make_account("twilio")
    forged = senders.twilio(form("delivered"), account=account.id, delivery=texted.id, token="guessed")
    altered = senders.twilio(form("failed"), account=account.id, delivery=texted.id)
    altered.body = altered.body.replace(b"failed", b"delivered")
    elsewhere = senders.twilio(form("delivered"), account=account.id, under="https://other.example.com")
    pointed = senders.twilio(form("delivered"), account=account.id, delivery="0" * 32)
    pointed.path = pointed.path.replace("0" * 32, str(texted.id))
    unsigned = senders.twilio(form("delivered"), account=account.id)
    unsigned.headers = {}
    for request in (forged, altered, elsewhere, pointed, unsigned):
        assert request.send().status_code == 401
    other = senders.twilio({**form("delivered"), "AccountSid": "AC-other"}, account=account.id)
    assert other.send().status_code == 403
    assert not ProviderEvent.objects.exists()


def test_a_repeated_callback_is_one_event(make_account: Any, texted: Any) -> None:
    account = make_account("twilio")
    request = senders.twilio(form("delivered"), account=account.id, delivery=texted.id)
    assert [request.send().status_code for _ in range(3)] == [200] * 3
    assert ProviderEvent.objects.count() == 1
