"""Several accounts: who is tried, in which order, and that nobody gets a mail twice because one of them broke."""

from __future__ import annotations

import datetime as dt
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import Organization
from castcomm.common.clock import now
from notifications.models import Delivery, DeliveryAttempt, ProviderAccount, Suppression
from notifications.services import breakers, dispatch, outbox
from notifications.vocabulary import Priority

from .smtp_server import SmtpServer, smtp_server

Serve = Callable[..., SmtpServer]
Account = Callable[..., ProviderAccount]
NORMAL = Priority.NORMAL.value


@pytest.fixture(autouse=True)
def _forget_breakers() -> Iterator[None]:
    yield
    breakers.forget()


@pytest.fixture
def serve() -> Iterator[Serve]:
    running = []

    def start(**fields: Any) -> SmtpServer:
        context = smtp_server(**fields)
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture
def account(db: None) -> Account:
    """An SMTP account; ``account(server, position=2)``."""

    def make(server: SmtpServer | int, **fields: Any) -> ProviderAccount:
        port = server if isinstance(server, int) else server.port
        credentials = {"host": "127.0.0.1", "port": str(port), "timeout": "1"}
        made: dict[str, Any] = {"channel": "email", "provider": "smtp", "name": f"SMTP {port}"}
        return ProviderAccount.objects.create(**{**made, **fields}, credentials=json.dumps(credentials))

    return make


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port: int = closed.getsockname()[1]
        return port


@pytest.fixture
def mails(send: Any, make_event_type: Any) -> Callable[..., None]:
    def make(count: int = 1, **fields: Any) -> None:
        make_event_type("bill", channels=["email"], **fields)
        send(*({"email": f"p{number}@example.com"} for number in range(count)), event_type="bill")

    return make


def drain() -> None:
    while dispatch.send_due_batch("email", NORMAL):
        pass


def later(seconds: float = 3600) -> None:
    """Everything that waits is due."""
    Delivery.objects.filter(status="pending").update(due_at=now() - dt.timedelta(seconds=1))


def the_attempts() -> list[tuple[int, str, str]]:
    rows = DeliveryAttempt.objects.order_by("delivery_id", "number")
    return list(rows.values_list("number", "account", "outcome"))


def test_what_is_refused_goes_to_the_next_account_at_once(
    account: Account, serve: Serve, closed_port: int, mails: Any
) -> None:
    server = serve()
    first, second = account(closed_port, position=1), account(server, position=2)
    mails()
    drain()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.account, delivery.provider) == ("sent", str(second.id), "smtp")
    assert delivery.attempt_count == 2
    assert the_attempts() == [(1, str(first.id), "not_sent"), (2, str(second.id), "sent")]
    assert len(server.arrived) == 1


def test_what_may_have_left_goes_nowhere_else(account: Account, serve: Serve, mails: Any) -> None:
    hanging, healthy = serve(hang=3.0), serve()
    account(hanging, position=1)
    account(healthy, position=2)
    mails()
    drain()
    later()
    drain()
    assert Delivery.objects.get().status == "unknown"
    assert healthy.arrived == []


def test_one_time_codes_rather_arrive_twice_than_never(account: Account, serve: Serve, mails: Any) -> None:
    hanging, healthy = serve(hang=3.0), serve()
    first, second = account(hanging, position=1), account(healthy, position=2)
    mails(duplicates_allowed=True)
    drain()
    assert Delivery.objects.get().status == "sent"
    assert the_attempts() == [(1, str(first.id), "unknown"), (2, str(second.id), "sent")]


def test_a_refusal_for_good_is_the_end(account: Account, serve: Serve, mails: Any) -> None:
    refusing, healthy = serve(at={"RCPT": "550 5.1.1 No such user"}), serve()
    account(refusing, position=1)
    account(healthy, position=2)
    mails()
    drain()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason, healthy.arrived) == ("failed", "refused", [])
    assert Suppression.objects.get().reason == "bounce"


def test_when_nobody_takes_it_it_waits_and_then_goes_out_once(
    account: Account, serve: Serve, mails: Any
) -> None:
    one, two = serve(at={"MAIL": "450 Later"}), serve(at={"MAIL": "450 Later"})
    account(one, position=1)
    account(two, position=2)
    mails(3)
    drain()
    assert set(Delivery.objects.values_list("status", "reason", "attempt_count")) == {
        ("pending", "retrying", 2)
    }
    assert all(due > now() for due in Delivery.objects.values_list("due_at", flat=True))
    one.at = two.at = {}
    later()
    for key in ProviderAccount.objects.values_list("id", flat=True):
        breakers.reset(str(key))
    drain()
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}
    assert len(one.arrived) + len(two.arrived) == 3


def test_a_breaker_that_is_open_is_not_asked(
    account: Account, serve: Serve, closed_port: int, mails: Any
) -> None:
    server = serve()
    first, second = account(closed_port, position=1), account(server, position=2)
    breakers.open_by_hand(str(first.id), seconds=60, reason="test")
    mails(4)
    drain()
    assert {row[1:] for row in the_attempts()} == {(str(second.id), "sent")}


def test_many_failures_open_the_breaker_and_then_cost_nothing(
    account: Account, serve: Serve, closed_port: int, mails: Any, settings: Any
) -> None:
    settings.EMAIL_QUEUE_CONCURRENT = 8
    server = serve()
    first = account(closed_port, position=1)
    account(server, position=2)
    mails(60)
    drain()
    assert len(server.arrived) == 60
    asked = [row for row in the_attempts() if row[1] == str(first.id)]
    assert len(asked) <= 8, "one slice, and then no more"
    assert breakers.states()[str(first.id)].state == "open"


def test_with_every_breaker_open_it_waits_without_a_try(account: Account, serve: Serve, mails: Any) -> None:
    row = account(serve(), position=1)
    breakers.open_by_hand(str(row.id), seconds=60, reason="test")
    mails()
    drain()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason, delivery.attempt_count) == ("pending", "breaker_open", 0)
    assert now() < delivery.due_at < now() + dt.timedelta(seconds=90)
    assert the_attempts() == []


def test_a_limit_defers_and_drops_nothing(account: Account, serve: Serve, mails: Any) -> None:
    limited, other = serve(), serve()
    account(limited, position=1, per_minute=5)
    account(other, position=2)
    mails(20)
    drain()
    assert (len(limited.arrived), len(other.arrived)) == (5, 0), "a limit is not got round"
    waiting = Delivery.objects.filter(status="pending", reason="rate_limited", attempt_count=0)
    assert waiting.count() == 15
    assert all(
        now() < due < now() + dt.timedelta(minutes=2) for due in waiting.values_list("due_at", flat=True)
    )


def test_an_organizations_limit_holds_over_all_accounts(
    account: Account, serve: Serve, mails: Any, organization: Organization
) -> None:
    server = serve()
    account(server, position=1)
    Organization.objects.filter(id=organization.id).update(sends_per_minute=3)
    mails(10)
    drain()
    assert len(server.arrived) == 3
    assert Delivery.objects.filter(reason="rate_limited").count() == 7


def test_a_person_gets_no_more_than_their_limit_but_critical_news_passes(
    account: Account, serve: Serve, send: Any, make_event_type: Any, make_user: Any,
    organization: Organization, settings: Any,
) -> None:  # fmt: skip
    settings.USER_RATE_LIMIT_MINUTE = 2
    server = serve()
    account(server, position=1)
    person = make_user(organization=organization)
    make_event_type("chatter", channels=["email"])
    make_event_type("alarm", channels=["email"], is_critical=True)
    for _ in range(4):
        send(person, event_type="chatter")
    send(person, event_type="alarm")
    drain()
    assert len(server.arrived) == 3
    assert Delivery.objects.filter(status="pending", reason="rate_limited").count() == 2


def test_what_was_not_sent_does_not_count_for_the_person(
    account: Account, serve: Serve, send: Any, make_event_type: Any, make_user: Any,
    organization: Organization, settings: Any,
) -> None:  # fmt: skip
    settings.USER_RATE_LIMIT_HOUR = 2
    server = serve()
    row = account(server, position=1)
    make_event_type("chatter", channels=["email"])
    person = make_user(organization=organization)
    for _ in range(2):
        send(person, event_type="chatter")
    breakers.open_by_hand(str(row.id), seconds=60, reason="test")
    for _ in range(3):
        later()
        drain()
    breakers.reset(str(row.id))
    later()
    drain()
    assert len(server.arrived) == 2


def test_accounts_of_one_position_share_by_weight(account: Account, serve: Serve, mails: Any) -> None:
    heavy, light, spare = serve(), serve(), serve()
    account(heavy, position=1, weight=3)
    account(light, position=1, weight=1)
    account(spare, position=2)
    mails(120)
    drain()
    assert len(heavy.arrived) + len(light.arrived) == 120
    assert 60 < len(heavy.arrived) < 115
    assert light.arrived
    assert not spare.arrived


def test_an_organization_with_its_own_account_uses_no_other(
    account: Account, serve: Serve, mails: Any, organization: Organization, other_organization: Organization
) -> None:
    shared, own, foreign = serve(), serve(at={"MAIL": "450 Later"}), serve()
    account(shared, position=1)
    account(own, position=5, organization=organization)
    account(foreign, position=1, organization=other_organization)
    mails()
    drain()
    assert (shared.arrived, foreign.arrived) == ([], [])
    assert Delivery.objects.get().reason == "retrying"


def test_a_worker_that_died_between_two_accounts_leaves_numbers_that_fit(
    account: Account, serve: Serve, mails: Any
) -> None:
    """The delivery's count is written when it settles, the attempts before: the count is mended from them."""
    server = serve()
    account(server, position=1)
    mails()
    lease, claimed = outbox.claim("email", NORMAL, now=now(), limit=10)
    outbox.start(lease, outbox.Beginning(claimed, [1], "smtp", "gone"), now=now())
    DeliveryAttempt.objects.update(finished_at=now(), outcome="not_sent")
    outbox.start(lease, outbox.Beginning(claimed, [2], "smtp", "gone"), now=now())
    DeliveryAttempt.objects.update(finished_at=now(), outcome="not_sent")
    Delivery.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    outbox.rescue(now=now())
    later()
    drain()
    assert Delivery.objects.get().status == "sent"
    assert [row[0] for row in the_attempts()] == [1, 2, 3]
