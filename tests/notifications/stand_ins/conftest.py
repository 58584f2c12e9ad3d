"""All providers' far sides, and a mail to send through them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection

from notifications.stand_ins import StandIn, stand_in

DELIVERY = "0198c0de-0000-7000-8000-00000000d001"
MAIL_PROVIDERS = ["sendgrid", "mailgun", "resend", "postmark", "ses"]
HTTP_MAIL_PROVIDERS = MAIL_PROVIDERS[:-1]


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


def mail(*, delivery: str = DELIVERY, to: str = "bob@example.com") -> EmailMultiAlternatives:
    """A mail as Anymail sends it, the delivery's id as metadata."""
    made = EmailMultiAlternatives("Grüße", "plain", "Ann <ann@example.com>", [to])
    made.attach_alternative("<p>rich</p>", "text/html")
    made.metadata = {"delivery_id": delivery}  # type: ignore[attr-defined]
    return made


def backend(server: StandIn, provider: str, **options: Any) -> Any:
    """Anymail's own backend for a provider, pointed at the stand-in."""
    key = {"postmark": "server_token"}.get(provider, "api_key")
    if provider == "ses":
        client = {
            "endpoint_url": server.url("ses"),
            "region_name": "eu-central-1",
            "aws_access_key_id": "id",
            "aws_secret_access_key": "key",
            "config": {"retries": {"total_max_attempts": 1}},
        }
        return get_connection("anymail.backends.amazon_ses.EmailBackend", client_params=client, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Anymail's word about SendGrid
        return get_connection(
            f"anymail.backends.{provider}.EmailBackend",
            api_url=server.url(provider) + "/",
            **{key: "secret"},
            **options,
        )


def send(server: StandIn, provider: str, made: EmailMultiAlternatives | None = None, **options: Any) -> Any:
    """Send a mail and return what Anymail says of it; raises what the backend raises."""
    chosen = made or mail()
    chosen.connection = backend(server, provider, **options)
    chosen.send()
    return chosen.anymail_status  # type: ignore[attr-defined]
