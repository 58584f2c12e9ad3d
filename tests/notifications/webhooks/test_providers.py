"""Each mail provider's webhook, signed as the provider signs it: what is believed, and what is not."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest

from notifications.models import Delivery, ProviderEvent, Suppression

from . import senders

pytestmark = pytest.mark.django_db

EVERYONE = pytest.mark.parametrize("provider", senders.MAIL_PROVIDERS)
NOT_TOLD = {"postmark": {"accepted"}, "resend": {"unsubscribed"}}
STATES = {
    "accepted": "sent",
    "deferred": "sent",
    "soft_bounced": "sent",
    "unsubscribed": "sent",
    "delivered": "delivered",
    "opened": "opened",
    "clicked": "clicked",
    "bounced": "bounced",
    "complained": "complained",
    "failed": "failed",
}


@pytest.fixture
def post(amazon: senders.Amazon) -> Callable[..., senders.Post]:
    """The request of a provider for one event."""
    posts = senders.posts_of(amazon)
    return lambda provider, said, account=None: posts[provider](said, account)


@EVERYONE
@pytest.mark.parametrize("kind", STATES)
def test_a_genuine_event_moves_the_delivery(
    provider: str, kind: str, make_account: Any, sent: Any, said: Any, post: Any
) -> None:
    if kind in NOT_TOLD.get(provider, ()) or (provider == "mailgun" and kind == "soft_bounced"):
        return  # this provider has no word for it
    account = make_account(provider)
    delivery = sent(provider, status="unknown", outcome="unknown")

    answer = post(provider, said(kind, delivery, detail="it said this"), account.id).send()

    assert answer.status_code == 200, answer.content
    delivery.refresh_from_db()
    assert delivery.status == STATES[kind]
    event = ProviderEvent.objects.get()
    assert (event.kind, event.delivery_id, event.account) == (kind, delivery.id, str(account.id))
    assert event.organization_id == delivery.organization_id
    assert event.payload
    listed = {"bounced": "bounce", "complained": "complaint", "unsubscribed": "unsubscribe"}
    found = Suppression.objects.filter(organization=delivery.organization_id).values_list("reason", flat=True)
    assert list(found) == [listed[kind]] if kind in listed else not found


@EVERYONE
def test_the_providers_own_id_finds_the_delivery_too(
    provider: str, make_account: Any, sent: Any, said: Any, post: Any
) -> None:
    account = make_account(provider)
    message_id = "<20260101.1@mg.example.com>" if provider == "mailgun" else "abc-DEF_1"
    delivery = sent(provider, message_id=message_id)

    post(provider, said("delivered", "not ours", message_id=message_id), account.id).send()

    delivery.refresh_from_db()
    assert delivery.status == "delivered"


@EVERYONE
def test_forged_and_unsigned_requests_store_nothing(
    provider: str, make_account: Any, sent: Any, said: Any, amazon: senders.Amazon
) -> None:
    account, delivery = make_account(provider), sent(provider)
    one = said("delivered", delivery)
    other = senders.Amazon()  # its key is not in the certificate that Amazon serves
    forged = {
        "sendgrid": lambda: senders.sendgrid([senders.sendgrid_event(one)], key=senders.OTHER_SENDGRID_KEY),
        "mailgun": lambda: senders.mailgun(senders.mailgun_event(one), key="guessed"),
        "resend": lambda: senders.resend(senders.resend_event(one), secret="whsec_Z3Vlc3NlZA=="),
        "postmark": lambda: senders.postmark(senders.postmark_event(one), password="guessed"),
        "amazon_ses": lambda: other.post(senders.ses_event(one)),
    }[provider]()
    forged.path = senders.path(provider, account.id)

    assert forged.send().status_code == 401
    unsigned = dataclasses.replace(forged, headers={})
    if provider == "mailgun":
        unsigned.body = b'{"event-data": {"event": "delivered"}}'
    if provider == "amazon_ses":
        unsigned.body = unsigned.body.replace(b'"Signature":', b'"Signaturx":')
    assert unsigned.send().status_code == 401
    assert not ProviderEvent.objects.exists()
    delivery.refresh_from_db()
    assert delivery.status == "sent"


@pytest.mark.parametrize("provider", ["sendgrid", "resend", "amazon_ses"])
def test_an_altered_body_is_refused(
    provider: str, make_account: Any, sent: Any, said: Any, post: Any
) -> None:
    account, delivery = make_account(provider), sent(provider)
    request = post(provider, said("delivered", delivery), account.id)
    request.body = request.body.replace(b"elivered", b"elivared").replace(b"Delivery", b"Dalivery")

    assert request.send().status_code == 401
    assert not ProviderEvent.objects.exists()


@pytest.mark.parametrize(
    ("provider", "seconds"), [("sendgrid", 1200), ("resend", 600), ("mailgun", 10 * 3600), ("resend", -600)]
)
def test_stale_requests_are_refused(
    provider: str, seconds: int, make_account: Any, sent: Any, said: Any
) -> None:
    account, delivery = make_account(provider), sent(provider)
    one = said("delivered", delivery)
    at = time.time() - seconds
    request = {
        "sendgrid": lambda: senders.sendgrid([senders.sendgrid_event(one)], at=at),
        "resend": lambda: senders.resend(senders.resend_event(one), at=at),
        "mailgun": lambda: senders.mailgun(senders.mailgun_event(one), at=at),
    }[provider]()
    request.path = senders.path(provider, account.id)

    assert request.send().status_code == 401
    assert not ProviderEvent.objects.exists()


@EVERYONE
def test_a_replayed_request_changes_nothing(
    provider: str, make_account: Any, sent: Any, said: Any, post: Any
) -> None:
    account, delivery = make_account(provider), sent(provider)
    request = post(provider, said("bounced", delivery), account.id)
    assert request.send().status_code == 200
    # Staff took the address off the list meanwhile: a replay must not put it there again.
    Suppression.objects.all().delete()

    assert request.send().status_code == 200
    assert ProviderEvent.objects.count() == 1
    assert not Suppression.objects.exists()


def test_sendgrid_posts_again_with_a_new_timestamp(make_account: Any, sent: Any, said: Any) -> None:
    account, delivery = make_account("sendgrid"), sent()
    event = senders.sendgrid_event(said("delivered", delivery, at=time.time() - 20 * 3600))
    for minutes in (0, 1):
        request = senders.sendgrid([event], account=account.id, at=time.time() - 60 * minutes)
        assert request.send().status_code == 200
    assert ProviderEvent.objects.count() == 1


def test_mailguns_token_is_good_for_one_event(make_account: Any, sent: Any, said: Any) -> None:
    """Its signature does not cover the event: who has caught one could write another event under it."""
    account, delivery = make_account("mailgun"), sent("mailgun")
    senders.mailgun(
        senders.mailgun_event(said("delivered", delivery)), account=account.id, token="t" * 50
    ).send()

    forged = senders.mailgun_event(said("complained", delivery))
    senders.mailgun(forged, account=account.id, token="t" * 50).send()

    delivery.refresh_from_db()
    assert delivery.status == "delivered"
    assert not Suppression.objects.exists()


def test_mailgun_asks_for_a_password_too_where_one_is_set(make_account: Any, sent: Any, said: Any) -> None:
    account = make_account("mailgun", webhook_user="mg", webhook_password="secret")
    request = senders.mailgun(senders.mailgun_event(said("delivered", sent("mailgun"))), account=account.id)
    assert request.send().status_code == 401
    request.headers["Authorization"] = "Basic bWc6c2VjcmV0"
    assert request.send().status_code == 200


@EVERYONE
def test_an_account_speaks_for_its_own_organization_alone(
    provider: str, make_account: Any, other_organization: Any, sent: Any, said: Any, post: Any
) -> None:
    foreign = make_account(provider, other_organization)
    delivery = sent(provider, message_id="m-foreign")

    answer = post(provider, said("bounced", delivery, message_id="m-foreign"), foreign.id).send()

    assert answer.status_code == 200
    delivery.refresh_from_db()
    assert delivery.status == "sent"
    assert not Suppression.objects.exists()
    event = ProviderEvent.objects.get()
    assert (event.delivery_id, event.organization_id) == (None, None)


def test_nobody_can_use_up_another_accounts_event(
    make_account: Any, other_organization: Any, organization: Any, sent: Any, said: Any
) -> None:
    foreign, own = make_account("sendgrid", other_organization), make_account("sendgrid", organization)
    delivery = sent()
    event = senders.sendgrid_event(said("delivered", delivery, id="the-same-id"))
    for account in (foreign, own):
        assert senders.sendgrid([event], account=account.id).send().status_code == 200
    delivery.refresh_from_db()
    assert delivery.status == "delivered"


@EVERYONE
def test_an_unknown_id_is_kept_and_answered(provider: str, make_account: Any, said: Any, post: Any) -> None:
    account = make_account(provider)
    assert (
        post(provider, said("bounced", "0" * 32, message_id="nobody's"), account.id).send().status_code == 200
    )
    event = ProviderEvent.objects.get()
    assert event.delivery_id is None
    assert event.recipient_index
    assert not Suppression.objects.exists()


def test_an_account_without_its_secret_is_asked_again_later(make_account: Any, sent: Any, said: Any) -> None:
    account = make_account("sendgrid", webhook_public_key="")
    request = senders.sendgrid([senders.sendgrid_event(said("delivered", sent()))], account=account.id)
    assert request.send().status_code == 503
    assert not ProviderEvent.objects.exists()


def test_what_each_provider_says_stands_in_the_event(
    make_account: Any, sent: Any, said: Any, post: Any
) -> None:
    for provider in ("sendgrid", "mailgun", "resend", "postmark", "amazon_ses"):
        account, delivery = make_account(provider), sent(provider, to={"email": f"{provider}@example.com"})
        post(
            provider,
            said("bounced", delivery, detail="550 5.1.1 no such user", to=f"{provider}@example.com"),
            account.id,
        ).send()
        assert "no such user" in ProviderEvent.objects.get(provider=provider).detail
        assert "no such user" in Delivery.objects.get(id=delivery.id).error


def test_a_machine_that_opens_a_mail_is_no_person(make_account: Any, sent: Any, said: Any) -> None:
    account, delivery = make_account("sendgrid"), sent()
    event = {**senders.sendgrid_event(said("opened", delivery)), "sg_machine_open": True}
    senders.sendgrid([event], account=account.id).send()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.opened_at) == ("sent", None)
    assert ProviderEvent.objects.get().is_automatic
