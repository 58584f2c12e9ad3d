"""What mail providers over HTTP are given, from which accounts, and side by side."""

from __future__ import annotations

import base64
import email
import email.policy
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from notifications.providers.base import File
from notifications.services.provider_accounts import environment_accounts, provider_of
from notifications.stand_ins import StandIn
from notifications.vocabulary import Outcome

from .far_side import FarSide, answer, answering, far_side
from .mail_far_sides import CREDENTIALS, JSON, STAND_INS, at, each
from .subjects import ID, mail


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
