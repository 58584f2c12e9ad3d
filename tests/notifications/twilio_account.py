"""An account at Twilio whose far side is the stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from accounts.models import Organization
from notifications.models import ProviderAccount
from notifications.stand_ins import StandIn, stand_in

TOKEN = "0123456789abcdef0123456789abcdef"
NUMBER = "+12025550100"


@pytest.fixture
def twilio_far() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


def twilio_row(server: StandIn | None = None, organization: Organization | None = None) -> ProviderAccount:
    """A row for everybody, or for one organization."""
    given = {"account_sid": "AC" + "0" * 32, "auth_token": TOKEN, "from_number": NUMBER}
    if server is not None:
        given["api_url"] = server.url("twilio")
    return ProviderAccount.objects.create(
        organization=organization,
        channel="sms",
        provider="twilio",
        name="Twilio",
        credentials=orjson.dumps(given).decode(),
    )


@pytest.fixture
def twilio_account(twilio_far: StandIn, db: None) -> ProviderAccount:
    """An account that serves all organizations, before those of the environment."""
    return twilio_row(twilio_far)
