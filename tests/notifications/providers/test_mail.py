"""What mail providers are given, and what each of their own error codes means."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from notifications.providers.base import File, email_providers
from notifications.providers.email.anymail_adapter import AnymailProvider
from notifications.services.provider_accounts import environment_accounts, provider_of
from notifications.stand_ins import StandIn, stand_in
from notifications.vocabulary import Outcome, SuppressionReason

from .far_side import FarSide, answer, answering, far_side
from .subjects import ID, mail, make

CREDENTIALS: dict[str, dict[str, str]] = {
    "sendgrid": {"api_key": "key"},
    "mailgun": {"api_key": "key", "domain": "mg.example.com"},
    "resend": {"api_key": "key"},
    "postmark": {"api_key": "key"},
    "amazon_ses": {"access_key": "id", "secret_key": "key", "region": "eu-central-1"},
}
STAND_INS = {key: "ses" if key == "amazon_ses" else key for key in CREDENTIALS}
JSON = "Content-Type: application/json\r\n"
each = pytest.mark.parametrize("key", CREDENTIALS)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


@pytest.fixture
def provider(server: StandIn) -> Iterator[Callable[..., Any]]:
    """A provider whose far side is the stand-in."""
    made = []

    def get(key: str, **more: str) -> Any:
        given = {**CREDENTIALS[key], "api_url": server.url(STAND_INS[key]), **more}
        made.append(make("email", key, given))
        return made[-1]

    yield get
    for one in made:
        one.close()


def at(key: str, far: FarSide, **more: str) -> Any:
    """A provider whose far side answers as it is told."""
    return make("email", key, {**CREDENTIALS[key], "api_url": far.url, **more})


def said(key: str, *answers: bytes, message: Any = None) -> Any:
    with far_side(answering(*answers)) as far:
        one = at(key, far)
        result = one.deliver(message or mail())
        one.close()
    return result


# --- what goes over the wire -----------------------------------------------------------------------------


@each
def test_the_whole_mail_arrives(key: str, server: StandIn, provider: Callable[..., Any]) -> None:
    far = STAND_INS[key]
    sent = mail(
        sender_name="Acme, Bürö",
        subject="Grüße – 100 %",
        reply_to="help@example.com",
        headers=(
            ("List-Unsubscribe", "<https://example.com/u/1>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ),
    )
    assert provider(key).deliver(sent).outcome == Outcome.SENT
    (accepted,) = server.accepted(far)
    arrived = server.sides[far].mail_of(accepted)
    assert arrived is not None
    arrived = email.message_from_bytes(arrived.as_bytes(), policy=email.policy.default)
    assert accepted.to == "to@example.com"
    (sender,) = arrived["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Acme, Bürö", "from@example.com")
    assert arrived["Subject"] == "Grüße – 100 %"
    assert arrived["List-Unsubscribe"] == "<https://example.com/u/1>"
    assert arrived["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert arrived["X-CastComm-Delivery"] == ID
    assert arrived["Message-ID"] == f"<{ID}@example.com>"
    parts = {kind: arrived.get_body((kind,)).get_content().strip() for kind in ("plain", "html")}
    assert parts == {"plain": "Text", "html": "<p>Text</p>"}


def test_each_says_where_replies_go(server: StandIn, provider: Callable[..., Any]) -> None:
    for key in CREDENTIALS:
        provider(key).deliver(mail(reply_to='"Help, Desk" <help@example.com>'))
    bodies = {key: server.accepted(far)[0].body for key, far in STAND_INS.items()}
    assert bodies["sendgrid"]["reply_to_list"] == [{"email": "help@example.com", "name": "Help, Desk"}]
    assert bodies["mailgun"]["h:Reply-To"] == '"Help, Desk" <help@example.com>'
    assert bodies["resend"]["reply_to"] == ['"Help, Desk" <help@example.com>']
    assert bodies["postmark"]["ReplyTo"] == '"Help, Desk" <help@example.com>'
    raw = base64.b64decode(bodies["amazon_ses"]["Content"]["Raw"]["Data"])
    assert b'\r\nReply-To: "Help, Desk" <help@example.com>\r\n' in raw


def test_each_carries_our_id_where_its_reports_will_show_it(
    server: StandIn, provider: Callable[..., Any]
) -> None:
    for key in CREDENTIALS:
        provider(key).deliver(mail())
    bodies = {key: server.accepted(far)[0].body for key, far in STAND_INS.items()}
    assert bodies["sendgrid"]["custom_args"] == {"delivery_id": ID}
    assert bodies["mailgun"]["v:delivery_id"] == ID
    assert bodies["resend"]["tags"] == [{"name": "delivery_id", "value": ID}]
    assert bodies["postmark"]["Metadata"] == {"delivery_id": ID}
    assert bodies["amazon_ses"]["EmailTags"] == [{"Name": "delivery_id", "Value": ID}]


def test_tracking_is_left_to_the_account(server: StandIn, provider: Callable[..., Any]) -> None:
    for key, far in STAND_INS.items():
        provider(key).deliver(mail())
        assert "track" not in orjson.dumps(server.accepted(far)[0].body).decode().lower()


def test_postmark_keeps_our_message_id_and_uses_its_stream(
    server: StandIn, provider: Callable[..., Any]
) -> None:
    provider("postmark", message_stream="outbound-2").deliver(mail())
    (accepted,) = server.accepted("postmark")
    assert {"Name": "X-PM-KeepID", "Value": "true"} in accepted.body["Headers"]
    assert accepted.body["MessageStream"] == "outbound-2"


@each
@pytest.mark.parametrize(("text", "html"), [("Only text", ""), ("", "<p>Only HTML</p>")])
def test_one_part_alone(
    key: str, text: str, html: str, server: StandIn, provider: Callable[..., Any]
) -> None:
    assert provider(key).deliver(mail(text=text, html=html)).outcome == Outcome.SENT
    far = STAND_INS[key]
    arrived = server.sides[far].mail_of(server.accepted(far)[0])
    assert arrived is not None
    found = {kind: arrived.get_body((kind,)) for kind in ("plain", "html")}
    for kind, content in (("plain", text), ("html", html)):
        part = found[kind]
        assert (part.get_content().strip() if part else "") == content


FILES = (
    File(filename="Übersicht.pdf", content_type="application/pdf", content=b"%PDF-1.7\n\xff"),
    File(filename="b.csv", content_type="text/csv", content="a;ü\r\n".encode()),
)


def test_files_in_json_and_in_mime(server: StandIn, provider: Callable[..., Any]) -> None:
    for key in ("sendgrid", "resend", "postmark", "amazon_ses"):
        assert provider(key).deliver(mail(attachments=FILES)).outcome == Outcome.SENT
    names = {
        "sendgrid": ("attachments", "filename", "content"),
        "resend": ("attachments", "filename", "content"),
        "postmark": ("Attachments", "Name", "Content"),
    }
    for key, (field, name, content) in names.items():
        found = [(one[name], base64.b64decode(one[content])) for one in server.accepted(key)[0].body[field]]
        assert found == [(one.filename, one.content) for one in FILES]
    raw = base64.b64decode(server.accepted("ses")[0].body["Content"]["Raw"]["Data"])
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    attached = [(one.get_filename(), one.get_payload(decode=True)) for one in parsed.iter_attachments()]
    assert attached == [(one.filename, one.content) for one in FILES]


def test_files_in_a_form() -> None:
    with far_side(answering(answer(200, b'{"id": "<1@x>", "message": "Queued."}', JSON))) as far:
        one = at("mailgun", far)
        assert one.deliver(mail(attachments=FILES)).provider_message_id == "<1@x>"
        head, body = far.requests[0].split(b"\r\n\r\n", 1)
        one.close()
    kind = re.search(rb"(?i)content-type: [^\r]+", head)
    assert kind is not None
    form = email.message_from_bytes(kind[0] + b"\r\n\r\n" + body, policy=email.policy.HTTP)
    attached = [
        one
        for one in form.iter_parts()
        if one.get_param("name", header="content-disposition") == "attachment"
    ]
    assert [one.get_filename() for one in attached] == [one.filename for one in FILES]
    assert attached[0].get_payload(decode=True) == FILES[0].content


@each
def test_the_accounts_own_sender_stands_in_from(
    key: str, server: StandIn, provider: Callable[..., Any]
) -> None:
    one = provider(key, from_email="own@example.com", from_name="Own")
    assert one.deliver(mail()).outcome == Outcome.SENT
    far = STAND_INS[key]
    arrived = server.sides[far].mail_of(server.accepted(far)[0])
    assert arrived is not None
    assert "own@example.com" in str(arrived["From"])
    assert "from@example.com" not in str(arrived["From"])


@each
def test_domains_beyond_ascii_are_encoded(key: str, server: StandIn, provider: Callable[..., Any]) -> None:
    assert provider(key).deliver(mail(to="to@bücher.example")).outcome == Outcome.SENT
    assert server.accepted(STAND_INS[key])[0].to == "to@xn--bcher-kva.example"


@each
@pytest.mark.parametrize(
    "to",
    [
        "a@example.com, b@example.com",
        "a@example.com,b@example.com",
        "Name <a@example.com>",
        "a@example.com; b@example.com",
        "a@example.com b@example.com",
        "group: a@example.com;",
        "nobody",
        "",
        "@example.com",
        "a@",
    ],
)
def test_the_recipient_is_one_bare_address(
    key: str, to: str, server: StandIn, provider: Callable[..., Any]
) -> None:
    result = provider(key).deliver(mail(to=to))
    assert (result.outcome, result.about_recipient) == (Outcome.PERMANENT, True)
    assert server.calls(STAND_INS[key]) == 0


# --- what answers mean -------------------------------------------------------------------------------------


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


# --- accounts ----------------------------------------------------------------------------------------------


def keys(settings: Any, **environment: str) -> list[str]:
    settings.PROVIDER_ENVIRONMENT = environment
    return [one.provider for one in environment_accounts("email")]


def test_the_environment_configures_accounts(settings: Any) -> None:
    settings.EMAIL_PRIMARY_PROVIDER = settings.EMAIL_PROVIDER = ""
    assert keys(settings, SENDGRID_API_KEY="k") == ["sendgrid"]
    assert keys(settings, MAILGUN_API_KEY="k") == ["smtp"]  # without its domain
    assert keys(settings, MAILGUN_API_KEY="k", MAILGUN_DOMAIN="mg.example.com") == ["mailgun"]
    assert keys(settings, RESEND_API_KEY="k", POSTMARK_API_KEY="k") == ["postmark", "resend"]
    both = {"AWS_SES_ACCESS_KEY": "a", "AWS_SES_SECRET_KEY": "b"}
    assert keys(settings, **both) == ["amazon_ses"]
    aws = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert keys(settings, **aws) == ["smtp"]  # they may be there for something else
    assert keys(settings, **aws, AWS_SES_REGION="eu-west-1") == ["amazon_ses"]


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("true", "api.eu.mailgun.net"),
        ("false", "api.mailgun.net"),
        ("", "api.mailgun.net"),
        ("True", "api.eu.mailgun.net"),
    ],
)
def test_mailgun_has_two_regions(given: str, host: str, settings: Any) -> None:
    settings.EMAIL_PRIMARY_PROVIDER = "mailgun"
    keys(settings, MAILGUN_API_KEY="k", MAILGUN_DOMAIN="mg.example.com", MAILGUN_EU=given)
    (account,) = environment_accounts("email")
    payload = provider_of(account).payload(mail())
    assert payload.get_request_params(provider_of(account)._backend.api_url)["url"] == (
        f"https://{host}/v3/mg.example.com/messages"
    )


@pytest.mark.parametrize(
    "region", ["evil.example/#", "eu-central-1.evil.example", "a@evil.example:80/", "eu-central-1\n", "EU"]
)
def test_a_region_leads_nowhere_else(region: str, server: StandIn, provider: Callable[..., Any]) -> None:
    result = provider("amazon_ses", region=region).deliver(mail())
    assert (result.outcome, server.calls("ses")) == (Outcome.NOT_SENT, 0)
    assert provider("amazon_ses", region="us-gov-west-1").deliver(mail()).outcome == Outcome.SENT


@pytest.mark.parametrize("domain", ["../evil", "a/b", "a%2Fb"])
def test_nor_does_a_domain(domain: str, server: StandIn, provider: Callable[..., Any]) -> None:
    result = provider("mailgun", domain=domain).deliver(mail())
    assert (result.outcome, server.calls("mailgun")) == (Outcome.NOT_SENT, 0)


def test_ses_takes_nothing_from_the_surroundings(
    monkeypatch: pytest.MonkeyPatch, server: StandIn, provider: Callable[..., Any]
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SESV2"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    server.break_("ses", mode="503")
    assert provider("amazon_ses").deliver(mail()).outcome == Outcome.NOT_SENT
    assert server.calls("ses") == 1
    server.mend("ses")
    assert provider("amazon_ses").deliver(mail()).outcome == Outcome.SENT
    assert "Credential=id/" in server.accepted("ses")[0].headers["authorization"]


# --- side by side --------------------------------------------------------------------------------------------


@each
def test_threads_share_one_instance_and_its_connections(key: str) -> None:
    """32 at once, twice: each mail once, none mixed up with another's, and as many connections as threads."""
    threads = 32
    together = threading.Barrier(threads)

    def act(far: FarSide, connection: Any) -> None:
        while request := far.read(connection):
            together.wait(20)
            number = _number(request, key)
            body = orjson.dumps(
                {"id": number, "message": "Queued.", "MessageID": number, "MessageId": number}
            )
            connection.sendall(answer(202, body, f"{JSON}X-Message-Id: {number}\r\n"))

    with far_side(act) as far, ThreadPoolExecutor(threads) as pool:
        one = at(key, far)
        for turn in range(2):
            sent = [mail(to=f"n{turn}x{number}@example.com") for number in range(threads)]
            results = list(pool.map(one.deliver, sent))
            assert [result.provider_message_id for result in results] == [
                f"{turn}x{n}" for n in range(threads)
            ]
        assert far.connections == threads
        one.close()


def _number(request: bytes, key: str) -> str:
    body = request.split(b"\r\n\r\n", 1)[1]
    to = parse_qs(body.decode())["to"][0] if key == "mailgun" else body.decode()
    found = re.search(r"n(\d+x\d+)@example\.com", to)
    assert found is not None
    return found[1]
