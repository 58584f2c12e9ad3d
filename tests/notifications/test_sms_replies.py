"""STOP and START: what people answer to an SMS, as Twilio hands it on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from django.conf import settings
from django.test import Client, override_settings
from twilio.request_validator import RequestValidator

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import Delivery, EventType, ProviderAccount, ProviderEvent, Suppression
from notifications.services.sending import SendResult, send_notification
from notifications.services.sms_replies import Answer, answer_of
from notifications.services.suppressions import suppress_address
from notifications.stand_ins import StandIn
from notifications.webhooks import wrong_signatures

from .conftest import states
from .twilio_account import NUMBER, TOKEN, twilio_row

PERSON = "+4915112345678"
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response />'


@pytest.fixture
def reply(twilio_account: ProviderAccount) -> Callable[..., Any]:
    """Let Twilio hand on an SMS; each has its own id unless it is given."""
    count = 0

    def call(
        body: str,
        *,
        account: ProviderAccount | None = None,
        sid: str = "",
        token: str = TOKEN,
        url: str = "",
        **more: str,
    ) -> Any:
        nonlocal count
        count += 1
        row = account or twilio_account
        path = f"/webhooks/sms/twilio/{row.id}/inbound"
        form = {
            "MessageSid": sid or f"SM{count:032}",
            "AccountSid": orjson.loads(row.credentials)["account_sid"],
            "From": PERSON,
            "To": NUMBER,
            "Body": body,
            **more,
        }
        signature = RequestValidator(token).compute_signature(url or settings.PUBLIC_URL + path, form)
        return Client().post(
            path,
            urlencode(form),
            content_type="application/x-www-form-urlencoded",
            headers={"X-Twilio-Signature": signature},
        )

    return call


@pytest.fixture
def text_from(drain: Callable[..., int]) -> Callable[..., None]:
    """Let an organization text the person through the account that serves it."""

    def call(*organizations: Organization) -> None:
        for organization in organizations:
            send_notification(
                organization=organization,
                recipients=[{"phone": PERSON}],
                content={"sms": "Hello"},
                channels=["sms"],
            )
        drain("sms")

    return call


def stopped() -> set[tuple[str, str]]:
    """Organization and reason of each entry for the person's number."""
    found = Suppression.objects.filter(channel="sms").select_related("organization")
    assert all(one.address == PERSON for one in found)
    return {(one.organization.name, one.reason) for one in found}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("STOP", "STOP"),
        (" stop. ", "STOP"),
        ("Stopall", "STOP"),
        ("“STOP”", ""),
        ("unsubscribe", "STOP"),
        ("cancel", "STOP"),
        ("end", "STOP"),
        ("quit!", "STOP"),
        ("Stopp", "STOP"),
        ("abmelden", "STOP"),
        ("start", "START"),
        ("UNSTOP", "START"),
        ("Yes", "START"),
        ("Anmelden", "START"),
        ("help", "HELP"),
        ("Hilfe?", "HELP"),
        ("please stop", ""),
        ("don't stop", ""),
        ("", ""),
        ("stop" * 1000, ""),
        ("ＳＴＯＰ", ""),
    ],
)
def test_only_a_word_alone_is_an_answer(text: str, answer: str) -> None:
    assert answer_of(text) == answer


def test_the_settings_name_more_words() -> None:
    with override_settings(SMS_STOP_WORDS=[" arrêt ", "Basta ya"], SMS_START_WORDS=[], SMS_HELP_WORDS=[]):
        assert answer_of("Arrêt") == answer_of("basta  YA!") == answer_of("stop") == Answer.STOP
        assert answer_of("Stopp") == Answer.OTHER


def test_stop_counts_for_each_organization_that_texted_the_number(
    reply: Callable[..., Any],
    text_from: Callable[..., None],
    twilio_far: StandIn,
    organization: Organization,
    other_organization: Organization,
    make_organization: Callable[..., Organization],
    drain: Callable[..., int],
) -> None:
    make_organization("Third")
    text_from(organization, other_organization)

    answer = reply("Stop")

    assert (answer.status_code, answer["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert answer.content.decode() == EMPTY
    assert stopped() == {("First", "unsubscribe"), ("Second", "unsubscribe")}
    assert Suppression.objects.first().detail == f"Answered STOP to {NUMBER}."
    text_from(organization)
    assert len(twilio_far.accepted("twilio")) == 2
    assert states(organization=organization, status="suppressed") == {"sms": ("suppressed", "suppression")}


def test_start_takes_back_only_what_stop_did(
    reply: Callable[..., Any],
    text_from: Callable[..., None],
    twilio_far: StandIn,
    organization: Organization,
    other_organization: Organization,
) -> None:
    text_from(organization, other_organization)
    suppress_address(organization=other_organization, channel="sms", address=PERSON, reason="complaint")
    reply("STOP")
    assert stopped() == {("First", "unsubscribe"), ("Second", "complaint")}

    assert reply("START").content.decode() == EMPTY

    assert stopped() == {("Second", "complaint")}
    text_from(organization)
    assert len(twilio_far.accepted("twilio")) == 3


def test_a_member_s_number_is_found_too(
    make_event_type: Callable[..., EventType],
    send: Callable[..., SendResult],
    drain: Callable[..., int],
    make_user: Callable[..., User],
    organization: Organization,
    other_organization: Organization,
    reply: Callable[..., Any],
) -> None:
    make_event_type("news", channels=["sms"])
    person = make_user(organization=organization, phone=PERSON)
    send(person)
    drain("sms")
    reply("ABMELDEN")
    assert stopped() == {("First", "unsubscribe")}


def test_who_was_never_texted_is_stopped_where_they_are_members(
    make_user: Callable[..., User],
    organization: Organization,
    other_organization: Organization,
    reply: Callable[..., Any],
) -> None:
    reply("STOP")
    assert stopped() == set()
    make_user(organization=organization, phone=PERSON)
    reply("STOP")
    assert stopped() == {("First", "unsubscribe")}


def test_an_organization_s_own_account_speaks_for_it_alone(
    reply: Callable[..., Any],
    text_from: Callable[..., None],
    twilio_far: StandIn,
    organization: Organization,
    other_organization: Organization,
) -> None:
    own = twilio_row(twilio_far, organization)
    text_from(organization, other_organization)

    reply("STOP", account=own)
    assert stopped() == {("First", "unsubscribe")}
    # The shared account's START does not reach into an organization that has a number of its own.
    reply("START")
    assert stopped() == {("First", "unsubscribe")}
    reply("STOP")
    assert stopped() == {("First", "unsubscribe"), ("Second", "unsubscribe")}
    reply("START", account=own)
    assert stopped() == {("Second", "unsubscribe")}


def test_what_was_sent_long_ago_does_not_count(
    reply: Callable[..., Any],
    text_from: Callable[..., None],
    organization: Organization,
    other_organization: Organization,
) -> None:
    text_from(organization, other_organization)
    Delivery.objects.filter(organization=organization).update(sent_at=now() - dt.timedelta(days=200))
    reply("STOP")
    assert stopped() == {("Second", "unsubscribe")}


def test_the_same_message_counts_once_even_when_it_comes_late(
    reply: Callable[..., Any], text_from: Callable[..., None], organization: Organization
) -> None:
    text_from(organization)
    for _ in range(3):
        assert reply("STOP", sid="SM-first").status_code == 200
    kept = ProviderEvent.objects.get(kind="unsubscribed")
    assert (kept.payload["Body"], kept.recipient_index) == ("STOP", Suppression.objects.get().address_index)
    assert PERSON not in str(kept.payload)
    reply("START", sid="SM-second")
    assert reply("STOP", sid="SM-first").status_code == 200
    assert stopped() == set()
    reply("STOP", sid="SM-third")
    reply("START", sid="SM-second")
    assert stopped() == {("First", "unsubscribe")}


def test_twilio_s_own_reading_of_the_answer_comes_first(
    reply: Callable[..., Any], text_from: Callable[..., None], organization: Organization
) -> None:
    text_from(organization)
    reply("Nicht mehr bitte", OptOutType="STOP")
    assert stopped() == {("First", "unsubscribe")}
    reply("Doch", OptOutType="START")
    assert stopped() == set()


def test_help_answers_with_the_text_of_the_settings(reply: Callable[..., Any]) -> None:
    assert reply("HELP").content.decode() == EMPTY
    with override_settings(SMS_HELP_TEXT="Call <us> & ask."):
        shown = reply("Hilfe").content.decode()
        assert reply("STOP").content.decode() == EMPTY
    assert "<Message>Call &lt;us&gt; &amp; ask.</Message>" in shown


def test_what_means_nothing_is_not_kept(
    reply: Callable[..., Any], text_from: Callable[..., None], organization: Organization
) -> None:
    text_from(organization)
    assert reply("When do you open?").content.decode() == EMPTY
    assert reply("STOP", From="whatsapp:+4915112345678").status_code == 200
    assert reply("STOP", From="12345").status_code == 200
    assert not ProviderEvent.objects.exists()
    assert stopped() == set()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"token": "another"}, 401),
        ({"url": "https://elsewhere.example.com/webhooks/sms/twilio/inbound"}, 401),
        ({"AccountSid": "AC" + "9" * 32}, 403),
    ],
)
def test_a_forged_answer_changes_nothing(
    change: dict[str, str],
    status: int,
    reply: Callable[..., Any],
    text_from: Callable[..., None],
    organization: Organization,
) -> None:
    text_from(organization)
    assert reply("STOP", **change).status_code == status
    assert stopped() == set()


def test_a_changed_or_unsigned_answer_is_refused(
    twilio_account: ProviderAccount, text_from: Callable[..., None], organization: Organization
) -> None:
    text_from(organization)
    path = f"/webhooks/sms/twilio/{twilio_account.id}/inbound"
    form = {"MessageSid": "SM1", "From": PERSON, "To": NUMBER, "Body": "Hello"}
    signature = RequestValidator(TOKEN).compute_signature(settings.PUBLIC_URL + path, form)
    for body, headers in (
        ({**form, "Body": "STOP"}, {"X-Twilio-Signature": signature}),
        ({**form, "Body": "STOP"}, {}),
        ({}, {"X-Twilio-Signature": "é"}),
    ):
        kind = "application/x-www-form-urlencoded"
        assert Client().post(path, urlencode(body), content_type=kind, headers=headers).status_code == 401
    assert Client().get(path).status_code == 405
    assert stopped() == set()


def test_who_signs_wrongly_all_the_time_is_not_listened_to_here_either(
    twilio_account: ProviderAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_signatures, "FAILURES", 3)
    path = f"/webhooks/sms/twilio/{twilio_account.id}"
    answers = [Client().post(f"{path}/inbound", {}) for _ in range(4)]
    assert [one.status_code for one in answers] == [401, 401, 401, 429]
    assert answers[-1].headers["Retry-After"] == "60"
    assert Client().post(path, {}).status_code == 429, "the other addresses of providers count along"
    assert Client().post(f"{path}/inbound", {}, REMOTE_ADDR="192.0.2.8").status_code == 401


def test_an_account_that_is_not_there_looks_like_nothing(db: None, organization: Organization) -> None:
    twilio_row(organization=organization)
    for place in ("", "/00000000-0000-7000-8000-000000000000", "/nonsense"):
        assert Client().post(f"/webhooks/sms/twilio{place}/inbound", {}).status_code == 404
