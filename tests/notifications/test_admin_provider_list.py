"""Provider accounts in the admin: how they go, the buttons beside them, and their tests."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import DeliveryAttempt, ProviderAccount, ProviderBreaker
from notifications.services import account_activity, provider_tests
from notifications.services.breakers import open_by_hand, permit, record

from .admin_pages import list_page, page_of, press, run, send, text_of
from .provider_desk import key_page, make_account, make_smtp
from .smtp_server import smtp_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def near(settings: Any) -> None:
    """In development an organization's server may be on this machine."""
    settings.DEBUG = True


# --- The list -----------------------------------------------------------------------------------------


def make_attempts(organization: Organization, person: User, account: str, *outcomes: str) -> None:
    (notification,) = send(organization, person)
    delivery = notification.deliveries.get(channel="email")
    for number, outcome in enumerate(outcomes, start=1):
        DeliveryAttempt.objects.create(
            delivery=delivery, number=number, provider="twilio", account=account, started_at=now(),
            finished_at=now(), outcome=outcome, detail="It said so.",
        )  # fmt: skip


def test_the_list_tells_how_it_goes(
    desk: Client, organization: Organization, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = make_account(organization, per_minute=60, per_day=10_000)
    make_attempts(
        organization, member, str(account.pk), "sent", "sent", "not_sent", "permanent", "unknown", ""
    )
    make_attempts(organization, member, "env:smtp", "sent")
    text = text_of(desk, list_page("provideraccount"))
    assert "60/min, 10,000/day" in text
    assert '<span class="cc-when">2 / <span class="cc-count-some">3</span></span>' in text
    assert ">Closed</a>" in text
    open_by_hand(str(account.pk), seconds=600, reason="Stopped by Kim")
    assert ">Open until " in text_of(desk, list_page("provideraccount"))
    monkeypatch.setattr(account_activity, "LOOKED_AT", 3)
    assert account_activity.activity_of([str(account.pk)])[str(account.pk)].failed == 1


def test_the_list_takes_as_many_queries_for_many_rows_as_for_few(
    chief: Client, organization: Organization
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(chief, list_page("provideraccount"))
        return len(queries)

    open_by_hand(str(make_account(organization).pk), seconds=600, reason="x")
    count()
    before = count()
    for number in range(5):
        open_by_hand(str(make_account(organization, f"More {number}").pk), seconds=600, reason="x")
    assert count() == before


# --- Buttons ------------------------------------------------------------------------------------------


def test_an_account_is_switched_off_and_on(desk: Client, organization: Organization) -> None:
    account = make_account(organization)
    assert press(desk, account, "switch_off").status_code == 200
    account.refresh_from_db()
    assert not account.is_active
    assert press(desk, account, "switch_off").status_code == 403
    assert press(desk, account, "switch_on").status_code == 200
    account.refresh_from_db()
    assert account.is_active
    assert "1 switched off." in run(desk, "switch_off_selected", account)
    assert "Switched off." in text_of(desk, page_of(account, "history"))


def test_an_account_is_stopped_and_its_breaker_reset(
    desk: Client, clerk: User, organization: Organization
) -> None:
    account = make_account(organization)
    key = str(account.pk)
    assert press(desk, account, "reset").status_code == 403
    assert press(desk, account, "stop").status_code == 200
    assert 3590 < permit(key).retry_in <= 3600
    page = text_of(desk, key_page("breaker", key))
    assert f"Stopped by {clerk.display_name}." in page
    assert press(desk, account, "reset").status_code == 200
    assert permit(key).state == "closed"
    assert desk.post(key_page("breaker", key), {"_stop": "1"}).status_code == 302
    assert permit(key).state == "open"
    assert desk.post(key_page("breaker", key), {"_reset": "1"}).status_code == 302
    assert permit(key).state == "closed"
    assert desk.post(key_page("breaker", key), {"_what": "1"}).status_code == 404


def test_the_breakers_page_tells_why_and_what_was_tried(
    desk: Client, organization: Organization, member: User
) -> None:
    account = make_account(organization)
    make_attempts(organization, member, str(account.pk), "sent", "not_sent", "")
    for _ in range(5):
        record(str(account.pk), succeeded=0, failed=1, reason="401: <b>the key</b> was withdrawn")
    page = text_of(desk, key_page("breaker", account.pk))
    assert "401: &lt;b&gt;the key&lt;/b&gt; was withdrawn" in page
    for word in ("Open until", "Not sent", "Taken", "Cut short", "It said so.", "Reset breaker"):
        assert word in page


def test_deleting_takes_the_breaker_along(desk: Client, organization: Organization) -> None:
    account = make_account(organization)
    open_by_hand(str(account.pk), seconds=600, reason="x")
    assert desk.post(page_of(account, "delete"), {"post": "yes"}).status_code == 302
    assert not ProviderAccount.objects.exists()
    assert not ProviderBreaker.objects.exists()


# --- Tests --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("near")
def test_a_test_goes_out_and_its_outcome_is_shown(desk: Client, organization: Organization) -> None:
    with smtp_server() as server, structlog.testing.capture_logs() as logs:
        account = make_smtp(organization, server)
        page = text_of(desk, key_page("test", account.pk))
        assert 'value="staff@example.com"' in page
        response = desk.post(key_page("test", account.pk), {"recipient": "Somebody@Example.com"})
        assert ">Taken</span>" in response.content.decode()
        assert len(server.arrived) == 1
    (told,) = [entry for entry in logs if entry["event"] == "provider_account.tested"]
    assert (told["account"], told["outcome"]) == (str(account.pk), "sent")
    assert "somebody@example.com" not in str(told)
    assert "Test sent: taken." in text_of(desk, page_of(account, "history"))


@pytest.mark.usefixtures("near")
def test_a_test_that_fails_says_how(desk: Client, organization: Organization) -> None:
    with smtp_server() as server:
        account = make_smtp(organization, server)
    response = desk.post(key_page("test", account.pk), {"recipient": "somebody@example.com"})
    assert ">Not sent</span>" in response.content.decode()
    assert "refused" in response.content.decode().lower()


@pytest.mark.parametrize("recipient", ["", "nobody", "a@example.com\r\nBcc: all@example.com", "x" * 300])
def test_a_test_to_what_is_no_address_goes_nowhere(
    desk: Client, organization: Organization, recipient: str
) -> None:
    with smtp_server() as server:
        account = make_smtp(organization, server)
        response = desk.post(key_page("test", account.pk), {"recipient": recipient})
        assert list(response.context["form"].errors) == ["recipient"]
        assert server.arrived == []


@pytest.mark.usefixtures("near")
def test_tests_are_few_and_keep_to_the_accounts_limits(
    desk: Client, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_tests, "TESTS", 3)
    with smtp_server() as server:
        account = make_smtp(organization, server)
        account.per_minute = 1
        account.save()
        for expected in ("Taken", "reached its own limit", "reached its own limit", "3 tests in 10 minutes"):
            response = desk.post(key_page("test", account.pk), {"recipient": "somebody@example.com"})
            assert expected in response.content.decode()
        assert len(server.arrived) == 1
