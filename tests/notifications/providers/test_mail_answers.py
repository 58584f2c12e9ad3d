"""What each of the mail providers' own answers means."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from notifications.providers.base import email_providers
from notifications.providers.email.anymail_adapter import AnymailProvider
from notifications.stand_ins import StandIn
from notifications.vocabulary import Outcome, SuppressionReason

from .far_side import FarSide, answer, answering, far_side
from .mail_far_sides import CREDENTIALS, JSON, STAND_INS, at, each, said
from .subjects import ID, mail


@each
def test_a_recipient_that_the_provider_refuses(
    key: str, server: StandIn, provider: Callable[..., Any]
) -> None:
    server.refuse_recipient(STAND_INS[key], "to@example.com")
    result = provider(key).deliver(mail())
    assert (result.outcome, result.about_recipient) == (Outcome.PERMANENT, True)
    assert result.suppress == (SuppressionReason.BOUNCE if key == "postmark" else None)


@each
@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b"[]", b'{"id": null}', b"\xff\xfe", b'"x"', b'{"id": "']
)
def test_taken_is_taken_whatever_the_body_says(key: str, body: bytes) -> None:
    result = said(key, answer(200, body, JSON))
    assert (result.outcome, result.provider_message_id) == (Outcome.SENT, "")


@each
def test_a_body_that_breaks_off_is_no_refusal(key: str) -> None:
    def act(far: FarSide, connection: Any) -> None:
        far.read(connection)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-Message-Id: 1\r\n\r\n{"id": "1')

    with far_side(act) as far:
        one = at(key, far)
        assert one.deliver(mail()).outcome == Outcome.SENT
        one.close()


@each
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"message": null}', b"\xff", b'{"errors": 7}', b'{"ErrorCode": "x"}']
)
def test_a_refusal_stands_whatever_the_body_says(key: str, body: bytes) -> None:
    assert said(key, answer(400, body, JSON)).outcome == Outcome.PERMANENT
    assert said(key, answer(503, body, JSON)).outcome == Outcome.NOT_SENT
    assert said(key, answer(502, body, JSON)).outcome == Outcome.UNKNOWN


@each
def test_details_are_short_and_hold_no_secret(key: str) -> None:
    secrets = {
        name: f"secret-{name}" for name in ("api_key", "access_key", "secret_key") if name in CREDENTIALS[key]
    }
    for sent in (answer(400, b"x" * 100_000), answer(302, headers="Location: http://127.0.0.1/\r\n")):
        with far_side(answering(sent)) as far:
            one = at(key, far, **secrets)
            result = one.deliver(mail())
            one.close()
        assert result.outcome in {Outcome.PERMANENT, Outcome.NOT_SENT, Outcome.UNKNOWN}
        assert len(result.detail) <= 1000
        assert "secret" not in result.detail


def test_a_redirect_is_not_followed() -> None:
    for key in CREDENTIALS:
        with far_side(answering(answer(307, headers="Location: /elsewhere\r\n"), answer(200))) as far:
            one = at(key, far)
            assert one.deliver(mail()).outcome == Outcome.NOT_SENT
            assert len(far.requests) == 1
            one.close()


@each
def test_a_key_that_no_header_can_hold_is_the_accounts_trouble(key: str) -> None:
    with far_side(answering(answer(200))) as far:
        for bad in ("ключ", "a\r\nX-Evil: 1"):
            field = "access_key" if key == "amazon_ses" else "api_key"
            one = at(key, far, **{field: bad})
            result = one.deliver(mail())
            one.close()
            # Basic authentication (Mailgun) can say any ASCII, in base64.
            says_all = key == "mailgun" and bad.isascii()
            assert result.outcome == (Outcome.SENT if says_all else Outcome.NOT_SENT)
            assert bad not in result.detail
        assert not any(b"X-Evil: 1" in one.split(b"\r\n\r\n")[0] for one in far.requests)


def errors(*found: dict[str, Any]) -> bytes:
    return orjson.dumps({"errors": list(found)})


@pytest.mark.parametrize(
    ("field", "about_recipient"),
    [
        ("personalizations.0.to.0.email", True),
        ("personalizations.0.to", False),
        ("from.email", False),
        ("subject", False),
        (None, False),
    ],
)
def test_sendgrid_names_the_field(field: str | None, about_recipient: bool) -> None:
    body = errors({"message": "Not valid.", "field": field, "help": None})
    result = said("sendgrid", answer(400, body, JSON))
    assert (result.outcome, result.detail) == (Outcome.PERMANENT, "400 Not valid.")
    assert result.about_recipient == about_recipient


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        (lambda: f"X-RateLimit-Reset: {int(time.time()) + 30}", 20, 30),
        (lambda: "X-RateLimit-Reset: 1", 0, 0),
        (lambda: "X-RateLimit-Reset: 99999999999", 86_400, 86_400),
        (lambda: f"Retry-After: 5\r\nX-RateLimit-Reset: {int(time.time()) + 30}", 5, 5),
    ],
)
def test_sendgrid_says_when_its_limit_starts_anew(header: Callable[[], str], low: float, high: float) -> None:
    result = said("sendgrid", answer(429, errors({"message": "too many requests"}), header() + "\r\n"))
    assert result.outcome == Outcome.NOT_SENT
    assert low <= result.retry_after <= high


@pytest.mark.parametrize("reset", ["soon", "-5", "", "1" * 30])
def test_sendgrid_says_it_in_a_way_that_nobody_understands(reset: str) -> None:
    result = said("sendgrid", answer(429, b"", f"X-RateLimit-Reset: {reset}\r\n"))
    assert (result.outcome, result.retry_after) == (Outcome.NOT_SENT, None)


def test_mailgun_s_greeting_is_not_an_accepted_mail() -> None:
    result = said("mailgun", answer(200, b"Mailgun Magnificent API"))
    assert result.outcome == Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("words", "about_recipient"),
    [
        ("to parameter is not a valid address. please check documentation", True),
        ("'to' parameter is not a valid address. please check documentation", True),
        ("from parameter is not a valid address. please check documentation", False),
        ("Need at least one of 'text' or 'html' parameters specified", False),
    ],
)
def test_mailgun_says_what_is_wrong_in_words(words: str, about_recipient: bool) -> None:
    result = said("mailgun", answer(400, orjson.dumps({"message": words}), JSON))
    assert (result.outcome, result.about_recipient) == (Outcome.PERMANENT, about_recipient)


@pytest.mark.parametrize("name", ["concurrent_idempotent_requests", "invalid_idempotent_request", "", None])
def test_a_conflict_at_resend_means_that_an_earlier_try_arrived(name: str | None) -> None:
    body = orjson.dumps({"statusCode": 409, "name": name, "message": "Conflict."})
    result = said("resend", answer(409, body, JSON))
    assert result.outcome == Outcome.UNKNOWN
    assert result.retry_after == (2.0 if name == "concurrent_idempotent_requests" else None)


@pytest.mark.parametrize("mode", ["hang", "reset"])
def test_a_second_try_at_resend_sends_no_second_mail(
    mode: str, server: StandIn, provider: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnymailProvider, "read_timeout", 0.4)
    one = provider("resend")
    assert one.idempotent
    server.break_("resend", mode=mode, times=1)
    assert one.deliver(mail()).outcome == Outcome.UNKNOWN
    again = one.deliver(mail())
    (accepted,) = server.accepted("resend")
    assert (again.outcome, again.provider_message_id) == (Outcome.SENT, accepted.message_id)
    assert accepted.idempotency_key == ID
    assert server.calls("resend") == 2


def test_only_resend_promises_that() -> None:
    assert [key for key, one in email_providers.items() if one.idempotent] == ["resend"]


@pytest.mark.parametrize(
    ("code", "words", "outcome", "about_recipient"),
    [
        (300, "Invalid 'To' address: 'x'.", Outcome.PERMANENT, True),
        (300, "Error parsing 'To': Illegal email address 'x'.", Outcome.PERMANENT, True),
        (300, "Invalid 'From' address: 'x'.", Outcome.PERMANENT, False),
        (300, "Provide either email TextBody or HtmlBody or both.", Outcome.PERMANENT, False),
        (400, "The 'From' address you supplied is not a Sender Signature.", Outcome.NOT_SENT, False),
        (401, "Sender signature not confirmed.", Outcome.NOT_SENT, False),
        (403, "Incompatible JSON.", Outcome.PERMANENT, False),
        (405, "Not allowed to send: out of credits.", Outcome.NOT_SENT, False),
        (406, "Found inactive addresses: x. Inactive recipients are", Outcome.PERMANENT, True),
        (411, "Forbidden attachment type.", Outcome.PERMANENT, False),
        (412, "Account is pending.", Outcome.NOT_SENT, False),
        (413, "Account may not send.", Outcome.NOT_SENT, False),
    ],
)
def test_postmark_says_422_and_means_many_things(
    code: int, words: str, outcome: Outcome, about_recipient: bool
) -> None:
    body = orjson.dumps({"ErrorCode": code, "Message": words})
    for status in (422, 200):  # with 200 it says so within a batch; never taken for a yes
        result = said("postmark", answer(status, body, JSON))
        assert (result.outcome, result.about_recipient) == (outcome, about_recipient)
        assert result.suppress == (SuppressionReason.BOUNCE if code == 406 else None)
        assert f"({code})" in result.detail


def of_ses(code: str, message: str, status: int = 400) -> bytes:
    return answer(status, orjson.dumps({"message": message}), f"{JSON}x-amzn-errortype: {code}\r\n")


NOT_VERIFIED = "Email address is not verified. The following identities failed the check in region EU: "


@pytest.mark.parametrize(
    ("code", "words", "outcome", "about_recipient"),
    [
        ("MessageRejected", "Email contains a virus.", Outcome.PERMANENT, True),
        ("MessageRejected", f"{NOT_VERIFIED}to@example.com", Outcome.PERMANENT, True),
        ("MessageRejected", f"{NOT_VERIFIED}from@example.com", Outcome.NOT_SENT, False),
        ("BadRequestException", "Missing final '@domain'", Outcome.PERMANENT, False),
        ("BadRequestException", "Illegal address: TO@example.com", Outcome.PERMANENT, True),
        ("AccountSuspendedException", "x", Outcome.NOT_SENT, False),
        ("SendingPausedException", "x", Outcome.NOT_SENT, False),
        ("MailFromDomainNotVerifiedException", "x", Outcome.NOT_SENT, False),
        ("LimitExceededException", "x", Outcome.NOT_SENT, False),
        ("ThrottlingException", "Rate exceeded", Outcome.NOT_SENT, False),
        ("RequestExpired", "x", Outcome.NOT_SENT, False),
    ],
)
def test_ses_says_400_and_means_many_things(
    code: str, words: str, outcome: Outcome, about_recipient: bool
) -> None:
    result = said("amazon_ses", of_ses(code, words))
    assert (result.outcome, result.about_recipient) == (outcome, about_recipient)
    assert code in result.detail


def test_ses_is_signed_for_its_region_and_uses_its_configuration_set() -> None:
    with far_side(answering(answer(200, b'{"MessageId": "m-1"}', JSON))) as far:
        one = at("amazon_ses", far, configuration_set="events")
        assert one.deliver(mail()).provider_message_id == "m-1"
        one.close()
        head, body = far.requests[0].split(b"\r\n\r\n", 1)
    assert orjson.loads(body)["ConfigurationSetName"] == "events"
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert headers["Authorization"].endswith(f"Signature={signature(headers, body, secret='key')}")


def signature(headers: dict[str, str], body: bytes, *, secret: str) -> str:
    """What Amazon makes of a request to see who signed it.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    found = re.search(r"Credential=id/(\S+), SignedHeaders=(\S+),", headers["Authorization"])
    assert found is not None
    scope, signed = found[1], found[2]
    assert scope.split("/")[1:] == ["eu-central-1", "ses", "aws4_request"]
    assert {"content-type", "host", "x-amz-date"} <= set(signed.split(";"))
    by_name = {name.lower(): value for name, value in headers.items()}
    lines = [f"{name}:{by_name[name].strip()}" for name in signed.split(";")]
    canonical = [
        "POST",
        "/v2/email/outbound-emails",
        "",
        *lines,
        "",
        signed,
        hashlib.sha256(body).hexdigest(),
    ]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", by_name["x-amz-date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in [*scope.split("/"), to_sign]:
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()
