"""An organization's mail server stands on the internet, and none holds up a worker for longer than a mail may take."""

from __future__ import annotations

import datetime as dt
import re
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from castcomm.common.ids import new_id
from notifications.providers.base import Account, Result
from notifications.providers.email.smtp import SmtpProvider

from .providers.far_side import FarSide, certificate, far_side
from .smtp_server import smtp_server
from .test_smtp import message

NAME = "mail.example.com"


class Resolver:
    """Leads NAME to one address after the other, the last one again and again."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0
        self._real = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *more: Any, **options: Any) -> Any:
        if host == NAME:
            host = self.addresses[min(self.asked, len(self.addresses) - 1)]
            self.asked += 1
        return self._real(host, port, *more, **options)


@pytest.fixture
def lead_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Resolver]:
    def lead(*addresses: str) -> Resolver:
        resolver = Resolver(*addresses)
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        return resolver

    return lead


def deliver(port: int, *, host: str = NAME, shared: bool = False, **credentials: str) -> Result:
    account = Account(
        key="a",
        provider="smtp",
        channel="email",
        organization_id=None if shared else new_id(),
        credentials={"host": host, "port": str(port), **credentials},
    )
    provider = SmtpProvider(account)
    try:
        return provider.deliver(message())
    finally:
        provider.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "100.64.0.1"])
def test_a_name_that_leads_inside_is_not_called(address: str, lead_to: Callable[..., Resolver]) -> None:
    """Also when it led elsewhere while the account was saved."""
    lead_to(address)
    with smtp_server() as server:
        result = deliver(server.port)
    assert (result.outcome, server.connections) == ("not_sent", 0)
    assert "not on the public internet" in result.detail
    assert address not in result.detail


def test_the_address_that_was_checked_is_the_one_that_is_called(
    lead_to: Callable[..., Resolver], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = lead_to("93.184.216.34", "127.0.0.1")
    called: list[Any] = []

    def connect(_self: socket.socket, place: Any) -> None:
        called.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert deliver(25).outcome == "not_sent"
    assert (called, resolver.asked) == ([("93.184.216.34", 25)], 1)


def test_tls_goes_by_the_name(lead_to: Callable[..., Resolver], tmp_path: Path, settings: Any) -> None:
    settings.DEBUG = True
    names: list[Any] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    lead_to("127.0.0.1")
    with far_side(lambda far, connection: None, tls=context) as far:
        result = deliver(far.port, secure="true")
    with smtp_server(tls=context) as server:
        second = deliver(server.port)
    assert names == [NAME, NAME]
    for one in (result, second):
        assert (one.outcome, "certificate" in one.detail.lower()) == ("not_sent", True)


def test_development_reaches_this_machine_and_a_shared_account_always_does(
    lead_to: Callable[..., Resolver], settings: Any
) -> None:
    lead_to("127.0.0.1")
    with smtp_server() as server:
        assert deliver(server.port, shared=True).outcome == "sent"
        settings.DEBUG = True
        assert deliver(server.port).outcome == "sent"
    assert len(server.arrived) == 2


@pytest.mark.parametrize("host", ["a" * 70 + ".example.com", "mail..example.com"])
@pytest.mark.parametrize("shared", [True, False])
def test_a_name_that_cannot_be_one(host: str, shared: bool) -> None:
    assert deliver(25, host=host, shared=shared).outcome == "not_sent"


def trickle(far: FarSide, connection: socket.socket) -> None:
    connection.sendall(b"220")
    while not far.stopping.wait(0.05):
        connection.sendall(b" ")


def never_ending(far: FarSide, connection: socket.socket) -> None:
    while not far.stopping.is_set():
        connection.sendall(b"220-and another line\r\n" * 100)


def test_a_server_that_trickles_does_not_hold_a_worker(settings: Any) -> None:
    settings.DELIVERY_LEASE = dt.timedelta(seconds=2)
    with far_side(trickle) as far:
        result = deliver(far.port, host="127.0.0.1", shared=True)
    assert result.outcome == "not_sent"
    assert re.search("too long|timed out", result.detail)


def test_an_answer_without_end_is_cut_off() -> None:
    """By its length, long before a whole mail's time is over."""
    with far_side(never_ending) as far:
        result = deliver(far.port, host="127.0.0.1", shared=True)
    assert result.outcome == "not_sent"
    assert "does not end" in result.detail


def test_all_steps_of_a_mail_together_have_half_a_lease(settings: Any) -> None:
    """Each of them comes within its own time-out."""
    settings.DELIVERY_LEASE = dt.timedelta(seconds=1)
    with smtp_server(pipelining=False) as server:
        server.answer = lambda stage: (time.sleep(0.2), "")[1]  # type: ignore[method-assign,func-returns-value]
        result = deliver(server.port, host="127.0.0.1", shared=True)
    assert (result.outcome, server.arrived) == ("not_sent", [])


@pytest.mark.parametrize(("given", "used"), [("600", 30.0), ("0", 1.0), ("nan", 20.0), ("2.5", 2.5)])
def test_a_time_out_is_kept_within_its_bounds(given: str, used: float) -> None:
    account = Account(key="a", provider="smtp", channel="email", credentials={"timeout": given})
    assert SmtpProvider(account)._server.timeout == used


def test_staff_see_the_beginning_of_a_long_answer() -> None:
    said = "550 " + "no " * 600
    with smtp_server(at={"RCPT": said}) as server:
        result = deliver(server.port, host="127.0.0.1", shared=True)
    assert (result.outcome, len(result.detail)) == ("permanent", 504)
