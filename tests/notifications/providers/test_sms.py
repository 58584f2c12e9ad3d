"""Twilio and Amazon SNS: what goes over the wire, and what each of their answers means."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from django.test import override_settings

from notifications.providers.base import Account, Provider, Result, SmsMessage
from notifications.providers.sms.amazon_sns import AmazonSnsSms
from notifications.providers.sms.twilio import TwilioSms
from notifications.services.provider_accounts import environment_accounts
from notifications.vocabulary import Outcome, SuppressionReason

from .far_side import FarSide, answer, answering, far_side

MESSAGE = SmsMessage(
    delivery_id="019a0000-0000-7000-8000-000000000001", to="+4915112345678", text="Grüße & 100% 🙂\r\nBcc: x"
)
SNS_TAKEN = (
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m-1</MessageId>'
    b"</PublishResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></PublishResponse>"
)
XML = "Content-Type: text/xml\r\n"


def twilio(url: str, *, key: str = "env:twilio", **more: str) -> TwilioSms:
    given = {
        "account_sid": "AC1",
        "auth_token": "secret",
        "from_number": "+12025550100",
        "api_url": url,
        **more,
    }
    return TwilioSms(Account(key=key, provider="twilio", channel="sms", credentials=given))


def sns(url: str, **more: str) -> AmazonSnsSms:
    given = {
        "access_key_id": "AKID",
        "secret_access_key": "secret",
        "region": "eu-central-1",
        "api_url": url,
        **more,
    }
    return AmazonSnsSms(
        Account(key="env:amazon_sns", provider="amazon_sns", channel="sms", credentials=given)
    )


def form_of(request: bytes) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.split(b"\r\n\r\n", 1)[1].decode()).items()}


def head_of(request: bytes) -> str:
    return request.split(b"\r\n\r\n", 1)[0].decode()


def twilio_error(status: int, code: int, headers: str = "") -> bytes:
    body = orjson.dumps({"code": code, "message": "Because.", "more_info": "", "status": status})
    return answer(status, body, "Content-Type: application/json\r\n" + headers)


def sns_error(status: int, code: str, message: str = "Because.", headers: str = "") -> bytes:
    kind = "Sender" if status < 500 else "Receiver"
    body = (
        f'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>{kind}</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    )
    return answer(status, body.encode(), XML + headers)


def delivered(make: Callable[[str], Provider[SmsMessage]], *answers: bytes) -> tuple[Result, FarSide]:
    with far_side(answering(*answers)) as far:
        provider = make(far.url)
        result = provider.deliver(MESSAGE)
        provider.close()
    return result, far


def test_twilio_gets_the_message_with_the_place_for_receipts() -> None:
    with override_settings(PUBLIC_URL="https://cast.example.com"):
        result, far = delivered(twilio, answer(201, b'{"sid": "SM1", "status": "queued"}'))

    assert (result.outcome, result.provider_message_id) == (Outcome.SENT, "SM1")
    assert head_of(far.requests[0]).startswith("POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1\r\n")
    assert "Authorization: Basic QUMxOnNlY3JldA==" in head_of(far.requests[0])
    assert form_of(far.requests[0]) == {
        "To": MESSAGE.to,
        "From": "+12025550100",
        "Body": MESSAGE.text,
        "StatusCallback": f"https://cast.example.com/webhooks/sms/twilio?delivery={MESSAGE.delivery_id}",
    }


def test_a_row_s_account_is_named_in_the_place_for_receipts() -> None:
    key = "019a0000-0000-7000-8000-0000000000aa"
    result, far = delivered(
        lambda url: twilio(url, key=key, messaging_service_sid="MG1"), answer(201, b'{"sid": "SM1"}')
    )

    form = form_of(far.requests[0])
    assert result.outcome == Outcome.SENT
    assert f"/webhooks/sms/twilio/{key}?delivery=" in form["StatusCallback"]
    assert form["MessagingServiceSid"] == "MG1"
    assert "From" not in form


@pytest.mark.parametrize(
    ("public_url", "reports"),
    [
        ("https://cast.example.com", True),
        ("http://localhost:8000", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
    ],
)
def test_twilio_itself_is_not_told_a_place_that_it_cannot_reach(public_url: str, reports: bool) -> None:
    provider = twilio("https://api.twilio.com")
    with override_settings(PUBLIC_URL=public_url):
        assert ("StatusCallback" in provider._form(MESSAGE)) is reports


def test_twilio_without_a_sender_sends_nothing() -> None:
    result, far = delivered(lambda url: twilio(url, from_number=""), answer(201, b"{}"))
    assert (result.outcome, far.requests) == (Outcome.NOT_SENT, [])


@pytest.mark.parametrize(
    ("said", "outcome", "about_recipient", "suppress", "retry_after"),
    [
        (twilio_error(400, 21211), Outcome.PERMANENT, True, None, None),
        (twilio_error(400, 21614), Outcome.PERMANENT, True, None, None),
        (twilio_error(400, 21617), Outcome.PERMANENT, True, None, None),
        (twilio_error(400, 21610), Outcome.PERMANENT, True, SuppressionReason.UNSUBSCRIBE, None),
        (twilio_error(400, 21408), Outcome.NOT_SENT, True, None, None),
        (twilio_error(400, 21606), Outcome.NOT_SENT, False, None, None),
        (twilio_error(400, 99999), Outcome.PERMANENT, False, None, None),
        (twilio_error(401, 20003), Outcome.NOT_SENT, False, None, None),
        (twilio_error(403, 20005), Outcome.NOT_SENT, False, None, None),
        (twilio_error(404, 20404), Outcome.NOT_SENT, False, None, None),
        (twilio_error(429, 20429, "Retry-After: 7\r\n"), Outcome.NOT_SENT, False, None, 7.0),
        (twilio_error(429, 21611), Outcome.NOT_SENT, False, None, None),
        (twilio_error(503, 20503, "Retry-After: 3\r\n"), Outcome.NOT_SENT, False, None, 3.0),
        (twilio_error(500, 20500), Outcome.UNKNOWN, False, None, None),
        # An error on their side about which they name a recipient's code is still unknown.
        (twilio_error(500, 21610), Outcome.UNKNOWN, False, None, None),
        (answer(400, b"<html>"), Outcome.PERMANENT, False, None, None),
        (answer(502, b""), Outcome.UNKNOWN, False, None, None),
        (answer(302, b"", "Location: /\r\n"), Outcome.NOT_SENT, False, None, None),
    ],
)  # fmt: skip
def test_what_twilio_answers(
    said: bytes, outcome: Outcome, about_recipient: bool, suppress: Any, retry_after: float | None
) -> None:
    result, far = delivered(twilio, said)
    found = (result.outcome, result.about_recipient, result.suppress, result.retry_after)
    assert found == (outcome, about_recipient, suppress, retry_after)
    assert "secret" not in result.detail
    assert len(far.requests) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (twilio, answer(400, orjson.dumps({"code": 21211, "message": f"Invalid 'To' Phone Number: {MESSAGE.to[1:]}"}))),
        (twilio, answer(503, orjson.dumps({"code": 1, "message": f"Not {MESSAGE.to} now"}))),
        (sns, sns_error(400, "InvalidParameter", f"PhoneNumber {MESSAGE.to} is not valid")),
        (sns, sns_error(503, "ServiceUnavailable", f"Not {MESSAGE.to} now")),
    ],
)  # fmt: skip
def test_the_ledger_keeps_no_number_that_can_be_read(make: Callable[[str], Any], said: bytes) -> None:
    result, _ = delivered(make, said)
    assert MESSAGE.to[1:] not in result.detail
    assert "…" in result.detail


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"sid": null}', b'"x"'])
def test_an_accepted_sms_without_a_readable_answer_is_sent(body: bytes) -> None:
    result, _ = delivered(twilio, answer(201, body))
    assert (result.outcome, result.provider_message_id) == (Outcome.SENT, "")


def test_sns_gets_the_message_with_sender_and_type() -> None:
    result, far = delivered(
        lambda url: sns(url, sender_id="ACME", sms_type="Promotional"), answer(200, SNS_TAKEN, XML)
    )

    assert (result.outcome, result.provider_message_id) == (Outcome.SENT, "m-1")
    form = form_of(far.requests[0])
    assert (form["Action"], form["PhoneNumber"], form["Message"]) == ("Publish", MESSAGE.to, MESSAGE.text)
    prefix = "MessageAttributes.entry"
    attributes = {form[f"{prefix}.{n}.Name"]: form[f"{prefix}.{n}.Value.StringValue"] for n in (1, 2)}
    assert attributes == {"AWS.SNS.SMS.SMSType": "Promotional", "AWS.SNS.SMS.SenderID": "ACME"}
    assert "Credential=AKID/" in head_of(far.requests[0])
    assert "/eu-central-1/sns/aws4_request" in head_of(far.requests[0])


@pytest.mark.parametrize(
    ("said", "outcome", "about_recipient", "suppress", "retry_after"),
    [
        (sns_error(400, "InvalidParameter", "Invalid parameter: PhoneNumber"), Outcome.PERMANENT, True, None, None),
        (sns_error(400, "InvalidParameter", "Message too long"), Outcome.PERMANENT, False, None, None),
        (sns_error(400, "OptedOut"), Outcome.PERMANENT, True, SuppressionReason.UNSUBSCRIBE, None),
        (sns_error(400, "Throttling", "", "Retry-After: 2\r\n"), Outcome.NOT_SENT, False, None, 2.0),
        (sns_error(429, "Throttled", "", "Retry-After: 2\r\n"), Outcome.NOT_SENT, False, None, 2.0),
        (sns_error(400, "RequestExpired"), Outcome.NOT_SENT, False, None, None),
        (sns_error(403, "InvalidClientTokenId"), Outcome.NOT_SENT, False, None, None),
        (sns_error(403, "AuthorizationError"), Outcome.NOT_SENT, False, None, None),
        (sns_error(500, "InternalFailure"), Outcome.UNKNOWN, False, None, None),
        (sns_error(503, "ServiceUnavailable"), Outcome.NOT_SENT, False, None, None),
    ],
)  # fmt: skip
def test_what_sns_answers(
    said: bytes, outcome: Outcome, about_recipient: bool, suppress: Any, retry_after: float | None
) -> None:
    result, far = delivered(sns, said)
    found = (result.outcome, result.about_recipient, result.suppress, result.retry_after)
    assert found == (outcome, about_recipient, suppress, retry_after)
    # Amazon's own client tries again unless it is told not to.
    assert len(far.requests) == 1


def test_a_region_that_is_none_is_not_connected_to() -> None:
    result = sns("", region="evil.example.com/x").deliver(MESSAGE)
    assert result.outcome == Outcome.NOT_SENT


def test_sns_takes_nothing_from_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_PROFILE", "nobody"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("http_proxy", "http://127.0.0.1:9"),
        ("AWS_MAX_ATTEMPTS", "5"),
    ):
        monkeypatch.setenv(name, value)
    assert delivered(sns, answer(200, SNS_TAKEN, XML))[0].outcome == Outcome.SENT
    assert len(delivered(sns, sns_error(500, "InternalFailure"))[1].requests) == 1


@pytest.mark.parametrize(
    ("make", "taken"),
    [(twilio, answer(201, b'{"sid": "SM1"}')), (sns, answer(200, SNS_TAKEN, XML))],
    ids=["twilio", "amazon_sns"],
)
def test_threads_share_kept_connections(make: Callable[[str], Provider[SmsMessage]], taken: bytes) -> None:
    lanes, each = 8, 5
    with far_side(answering(taken)) as far:
        provider = make(far.url)
        outcomes: list[str] = []

        def lane() -> None:
            outcomes.extend(provider.deliver(MESSAGE).outcome for _ in range(each))

        threads = [threading.Thread(target=lane) for _ in range(lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        provider.close()
        assert outcomes == [Outcome.SENT] * (lanes * each)
        assert far.connections <= lanes


@pytest.mark.parametrize(
    ("environment", "providers"),
    [
        ({}, ["console"]),
        (
            {"TWILIO_ACCOUNT_SID": "AC", "TWILIO_AUTH_TOKEN": "t", "TWILIO_PHONE_NUMBER": "+12025550100"},
            ["twilio"],
        ),
        (
            {"TWILIO_ACCOUNT_SID": "AC", "TWILIO_AUTH_TOKEN": "t", "TWILIO_MESSAGING_SERVICE_SID": "MG"},
            ["twilio"],
        ),
        ({"TWILIO_ACCOUNT_SID": "AC", "TWILIO_AUTH_TOKEN": "t"}, ["console"]),
        # Keys that are there for storage do not make an SMS account.
        (
            {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"},
            ["console"],
        ),
        (
            {
                "AWS_ACCESS_KEY_ID": "A",
                "AWS_SECRET_ACCESS_KEY": "s",
                "AWS_REGION": "eu-west-1",
                "AWS_SNS_SMS_TYPE": "Transactional",
            },
            ["amazon_sns"],
        ),
    ],
)
def test_the_environment_makes_accounts(environment: dict[str, str], providers: list[str]) -> None:
    with override_settings(PROVIDER_ENVIRONMENT=environment, SMS_PROVIDER=""):
        assert [one.provider for one in environment_accounts("sms")] == providers
