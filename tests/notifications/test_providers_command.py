"""manage.py providers: what staff see of the accounts, and how the demo breaks one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Organization, User
from notifications.models import EventType, ProviderAccount
from notifications.services import breakers, provider_accounts
from notifications.services.demo_providers import demo_account_id
from notifications.services.sending import SendResult
from notifications.stand_ins import StandIn, stand_in

pytestmark = pytest.mark.django_db


def providers(*arguments: str) -> str:
    said = StringIO()
    call_command("providers", *arguments, stdout=said)
    return said.getvalue()


@pytest.fixture
def one_port() -> Iterator[StandIn]:
    """As bin/run starts it: all providers on one port."""
    with stand_in() as other:
        port = other.port
    with stand_in(port) as server:
        yield server


@pytest.fixture
def demo(one_port: StandIn, settings: Any) -> Iterator[StandIn]:
    settings.DEBUG = True
    settings.STAND_INS_PORT = one_port.port
    provider_accounts.forget_rows()
    yield one_port
    provider_accounts.forget_rows()


def _rows(said: str) -> list[list[str]]:
    return [line.split() for line in said.splitlines()[2:]]


def test_shows_every_account_also_what_is_switched_off(organization: Organization) -> None:
    ProviderAccount.objects.create(
        channel="email", provider="postmark", name="Ours", position=3, per_minute=600, is_active=False
    )
    own = ProviderAccount.objects.create(
        channel="sms", provider="twilio", name="Theirs", organization=organization
    )
    breakers.open_by_hand(str(own.id), seconds=60, reason="looked odd")
    rows = _rows(providers())
    found = {row[0]: row[1:] for row in rows}
    assert found["env:smtp"][:6] == ["smtp", "email", "all", "10", "yes", "closed"]
    ours = next(row for row in rows if row[1] == "postmark")
    assert ours[4:] == ["3", "no", "closed", "600/min", "0", "0"]
    assert found[str(own.id)][2:6] == [organization.slug, "100", "yes", "open"]
    breakers.reset(str(own.id))


def test_the_demo_switches_to_the_next_provider_and_back(
    demo: StandIn, news: EventType, send: Callable[..., SendResult], member: User, drain: Callable[..., int]
) -> None:
    said = providers("--demo", "on")
    assert said.index("SendGrid") < said.index("Postmark")
    providers("--demo", "on")
    assert ProviderAccount.objects.count() == 2, "a second time changes nothing"
    send(member)
    drain()
    assert (demo.accepted_count("sendgrid"), demo.accepted_count("postmark")) == (1, 0)
    assert "--mend sendgrid" in providers("--break", "sendgrid", "--mode", "503")
    send(member)
    drain()
    assert (demo.accepted_count("sendgrid"), demo.accepted_count("postmark")) == (1, 1)
    lines = {row[1]: row for row in _rows(providers())}
    assert lines["sendgrid"][-2:] == ["1", "1"]
    assert lines["postmark"][-2:] == ["1", "0"]
    providers("--mend", "sendgrid")
    assert demo.mode("sendgrid") == "ok"
    assert "SendGrid" in providers("--demo", "off")
    assert not ProviderAccount.objects.exists()
    assert "nothing" in providers("--demo", "off")
    breakers.reset(str(demo_account_id("sendgrid")))


def test_breaks_for_so_many_calls(demo: StandIn) -> None:
    providers("--break", "twilio", "--mode", "429", "--times", "3", "--retry-after", "2")
    fault = demo.fault_of("twilio")
    assert fault is not None
    assert (fault.mode, fault.times, fault.retry_after) == ("429", 3, 2)
    providers("--mend", "all")
    assert demo.fault_of("twilio") is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--break", "nobody"], "nobody"),
        (["--break", "sendgrid", "--times", "-1"], "times"),
        (["--mend", "nobody"], "nobody"),
        (["--break", "sendgrid", "--mode", "418"], "418"),
    ],
)
def test_a_mistake_is_named(demo: StandIn, arguments: list[str], named: str) -> None:
    with pytest.raises(CommandError, match=named):
        providers(*arguments)
    assert demo.mode("sendgrid") == "ok"


@pytest.mark.parametrize("arguments", [["--demo", "on"], ["--break", "sendgrid"]])
def test_production_has_no_demo(demo: StandIn, settings: Any, arguments: list[str]) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="development"):
        providers(*arguments)
    assert not ProviderAccount.objects.exists()


def test_what_a_demo_left_behind_leads_nowhere_in_production_and_can_be_removed(
    demo: StandIn, settings: Any, organization: Organization
) -> None:
    providers("--demo", "on")
    settings.DEBUG = settings.PROVIDER_STAND_INS = False
    provider_accounts.forget_rows()
    first = provider_accounts.accounts_for("email", organization.id)[0]
    assert first.name == "SendGrid (demo)"
    made = provider_accounts.provider_of(first)
    assert made.credential("api_url") == "https://api.sendgrid.com/v3"
    assert "SendGrid" in providers("--demo", "off")
    assert not ProviderAccount.objects.exists()


def test_without_stand_ins_no_account_is_made(demo: StandIn) -> None:
    demo.stop()
    with pytest.raises(CommandError, match="No stand-ins answer"):
        providers("--demo", "on")
    assert not ProviderAccount.objects.exists()
