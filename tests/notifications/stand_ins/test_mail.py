"""The mail providers' stand-ins, called by Anymail's own backends."""

from __future__ import annotations

import pytest
import requests
from anymail.exceptions import AnymailAPIError, AnymailRecipientsRefused

from notifications.stand_ins import StandIn

from .conftest import DELIVERY, HTTP_MAIL_PROVIDERS, MAIL_PROVIDERS, mail, send


@pytest.mark.parametrize("provider", MAIL_PROVIDERS)
def test_takes_a_mail_and_finds_the_delivery(server: StandIn, provider: str) -> None:
    status = send(server, provider)
    (accepted,) = server.accepted(provider)
    assert accepted.to == "bob@example.com"
    assert accepted.delivery_id == DELIVERY
    if provider != "sendgrid":  # which says its id in a header that Anymail does not read
        assert status.message_id == accepted.message_id
    assert status.status <= {"queued", "sent"}


@pytest.mark.parametrize("provider", MAIL_PROVIDERS)
def test_the_mail_can_be_read_as_it_would_arrive(server: StandIn, provider: str) -> None:
    made = mail()
    made.attach("notes.txt", "what was said", "text/plain")
    send(server, provider, made)
    arrived = server.sides[provider].mail_of(server.accepted(provider)[0])
    assert arrived is not None
    assert (arrived["To"], arrived["Subject"]) == ("bob@example.com", "Grüße")
    assert "ann@example.com" in arrived["From"]
    parts = {
        part.get_content_type(): part.get_content() for part in arrived.walk() if not part.is_multipart()
    }
    assert parts["text/html"].strip() == "<p>rich</p>"


@pytest.mark.parametrize("provider", MAIL_PROVIDERS)
def test_a_second_mail_of_one_delivery_is_counted(server: StandIn, provider: str) -> None:
    send(server, provider)
    send(server, provider)
    send(server, provider, mail(delivery="another"))
    assert server.duplicates(provider) == 1
    assert server.accepted_count(provider) == 3


@pytest.mark.parametrize("provider", MAIL_PROVIDERS)
def test_a_refused_recipient_is_refused_in_the_provider_s_words(server: StandIn, provider: str) -> None:
    server.refuse_recipient(provider, "gone@example.com")
    with pytest.raises((AnymailAPIError, AnymailRecipientsRefused)):
        send(server, provider, mail(to="gone@example.com"))
    assert server.accepted(provider) == []


@pytest.mark.parametrize(
    ("provider", "path", "status"),
    [
        ("sendgrid", "v3/mail/send", 401),
        ("mailgun", "v3/example.com/messages", 401),
        ("resend", "emails", 401),
        ("postmark", "email", 401),
        ("ses", "v2/email/outbound-emails", 403),
    ],
)
def test_a_call_without_a_key_is_refused(server: StandIn, provider: str, path: str, status: int) -> None:
    assert requests.post(server.url(provider, path), json={}, timeout=5).status_code == status
    assert server.accepted(provider) == []


@pytest.mark.parametrize("provider", HTTP_MAIL_PROVIDERS)
def test_another_path_is_not_found(server: StandIn, provider: str) -> None:
    assert requests.post(server.url(provider, "other"), json={}, timeout=5).status_code == 404


def _resend(server: StandIn, key: str, subject: str = "x") -> requests.Response:
    return requests.post(
        server.url("resend", "emails"),
        json={"from": "a@example.com", "to": ["b@example.com"], "subject": subject, "text": "t"},
        headers={"Authorization": "Bearer re_x", "Idempotency-Key": key},
        timeout=5,
    )


def test_resend_answers_a_known_key_as_before_and_sends_nothing(server: StandIn) -> None:
    first, second = _resend(server, DELIVERY), _resend(server, DELIVERY)
    assert first.json() == second.json()
    assert server.accepted_count("resend") == 1
    assert server.accepted("resend")[0].idempotency_key == DELIVERY


def test_resend_after_a_hang_answers_what_it_could_not_say(server: StandIn) -> None:
    server.break_("resend", mode="reset", times=1)
    with pytest.raises(requests.ConnectionError):
        _resend(server, DELIVERY)
    (accepted,) = server.accepted("resend")
    assert _resend(server, DELIVERY).json() == {"id": accepted.message_id}
    assert server.accepted_count("resend") == 1


def test_resend_refuses_a_key_with_another_payload(server: StandIn) -> None:
    _resend(server, "k")
    conflict = _resend(server, "k", subject="y")
    assert (conflict.status_code, conflict.json()["name"]) == (409, "invalid_idempotent_request")
    server.break_("resend", mode="409")
    assert _resend(server, "k").json()["name"] == "concurrent_idempotent_requests"


def test_postmark_answers_each_mail_of_a_batch(server: StandIn) -> None:
    server.refuse_recipient("postmark", "gone@example.com")
    batch = [
        {"From": "a@example.com", "To": to, "Subject": "x", "TextBody": "t", "Metadata": {"delivery_id": to}}
        for to in ("b@example.com", "gone@example.com")
    ]
    answer = requests.post(
        server.url("postmark", "email/batch"),
        json=batch,
        headers={"X-Postmark-Server-Token": "t"},
        timeout=5,
    )
    assert [one["ErrorCode"] for one in answer.json()] == [0, 406]
    assert [one.delivery_id for one in server.accepted("postmark")] == ["b@example.com"]
