"""One contract for all that a mail server can do: each mode has one outcome, and never a guess."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from notifications.providers.base import EmailMessage
from notifications.providers.email import smtp as smtp_module
from notifications.providers.email import smtp_dialogue
from notifications.providers.email.smtp import SmtpProvider
from notifications.services.provider_accounts import environment_accounts

from .providers.far_side import certificate as certificate_for_this_machine
from .smtp_server import SmtpServer, smtp_server


def message(to: str = "to@example.com", number: int = 0, **fields: str) -> EmailMessage:
    id_ = f"delivery-{number}"
    given = {
        "sender": "from@example.com",
        "sender_name": "Sender",
        "subject": "S",
        "text": f"Text {number}\n",
    }
    given |= {"html": "", "delivery_id": id_, "message_id": f"{id_}@example.com", "to": to}
    return EmailMessage(**{**given, **fields})


class Late:
    """The provider of the account that the settings name when it is first used."""

    def __getattr__(self, name: str) -> Any:
        made = SmtpProvider(environment_accounts("email")[0])
        self.__dict__.update({one: getattr(made, one) for one in dir(made) if not one.startswith("__")})
        return getattr(made, name)


@pytest.fixture
def provider(settings: Any) -> Iterator[SmtpProvider]:
    settings.SMTP_TIMEOUT = 1.0
    settings.SMTP_HOST = "127.0.0.1"
    smtp_dialogue.tls.cache_clear()  # each test has its own idea of whom to trust
    made = Late()
    yield made  # type: ignore[misc]
    made.close()
    smtp_dialogue.tls.cache_clear()


@pytest.fixture
def serve(settings: Any) -> Iterator[Callable[..., SmtpServer]]:
    """A server that the provider will use."""
    running = []

    def start(**fields: Any) -> SmtpServer:
        context = smtp_server(**fields)
        server = context.__enter__()
        running.append(context)
        settings.SMTP_PORT = server.port
        return server

    yield start
    for context in running:
        context.__exit__(None, None, None)


MODES: list[tuple[str, dict[str, Any], str, int]] = [
    # what the server does, how, the outcome, mails that it took
    ("takes it", {}, "sent", 1),
    ("421 instead of a greeting", {"at": {"CONNECT": "421 Too busy"}}, "not_sent", 0),
    ("554 instead of a greeting", {"at": {"CONNECT": "554 No service"}}, "not_sent", 0),
    ("421 at MAIL", {"at": {"MAIL": "421 Later"}}, "not_sent", 0),
    ("450 at MAIL", {"at": {"MAIL": "450 Slower"}}, "not_sent", 0),
    ("550 at MAIL", {"at": {"MAIL": "550 Not from you"}}, "permanent", 0),
    ("421 at RCPT", {"at": {"RCPT": "421 Later"}}, "not_sent", 0),
    ("450 at RCPT", {"at": {"RCPT": "450 Greylisted"}}, "not_sent", 0),
    ("550 at RCPT", {"at": {"RCPT": "550 No such user"}}, "permanent", 0),
    ("550 at RCPT and hangs up", {"at": {"RCPT": "550 Spam"}, "hang_up_after_refusal": True}, "permanent", 0),
    ("450 at RCPT and hangs up", {"at": {"RCPT": "450 Later"}, "hang_up_after_refusal": True}, "not_sent", 0),
    ("550 at RCPT, 354 at DATA", {"at": {"RCPT": "550 No"}, "data_without_recipients": True}, "permanent", 0),
    ("421 after the content", {"at": {"DATA": "421 Going down"}}, "not_sent", 0),
    ("450 after the content", {"at": {"DATA": "450 Later"}}, "not_sent", 0),
    ("552 after the content", {"at": {"DATA": "552 Too large"}}, "permanent", 0),
    ("554 after the content", {"at": {"DATA": "554 Spam"}}, "permanent", 0),
    ("nonsense after the content", {"at": {"DATA": "399 What"}}, "unknown", 0),
    ("hangs after the final dot", {"hang": 5.0}, "unknown", 0),
    ("resets after the final dot", {"reset": True}, "unknown", 0),
]  # fmt: skip


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
@pytest.mark.parametrize(("mode", "fields", "outcome", "taken"), MODES, ids=[row[0] for row in MODES])
def test_the_contract(
    mode: str, fields: dict[str, Any], outcome: str, taken: int, pipelining: bool,
    provider: SmtpProvider, serve: Callable[..., SmtpServer],
) -> None:  # fmt: skip
    server = serve(pipelining=pipelining, **fields)
    result = provider.deliver(message())
    print(f"{mode:28} {'pipelined' if pipelining else '':10} -> {result.outcome:9} {result.detail}")
    assert (result.outcome, len(server.arrived)) == (outcome, taken)
    if outcome != "sent":
        assert result.detail
    # Whatever happened, the next mail is not confused by it.
    server.at, server.hang, server.reset, server.hang_up_after_refusal = {}, 0.0, False, False
    server.data_without_recipients = False
    before = len(server.arrived)
    assert provider.deliver(message("next@example.com", 1)).outcome == "sent"
    assert [one.recipients for one in server.arrived[before:]] == [["next@example.com"]]
    assert b"Text 1" in server.arrived[-1].content


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
@pytest.mark.parametrize(("mode", "fields", "outcome", "taken"), MODES, ids=[row[0] for row in MODES])
def test_mails_in_turn_do_not_disturb_each_other(
    mode: str, fields: dict[str, Any], outcome: str, taken: int, pipelining: bool,
    provider: SmtpProvider, serve: Callable[..., SmtpServer],
) -> None:  # fmt: skip
    """Envelopes travel with the content before them; the third of five meets the trouble."""
    server = serve(pipelining=pipelining)
    if "at" in fields:
        [(stage, answer)] = fields["at"].items()
        fields = {**fields, "at": {stage: lambda number: answer if number == 3 else ""}}
    if stage_is_the_greeting := "CONNECT" in fields.get("at", {}):
        fields = {}
    for name, value in fields.items():
        setattr(server, name, value)
    results = provider.deliver_in_turn([message(f"p{number}@example.com", number) for number in range(1, 6)])
    outcomes = [result.outcome for result in results]
    if mode in ("hangs after the final dot", "resets after the final dot"):
        assert outcomes == ["unknown"] * 5
        return
    assert outcomes == ["sent", "sent", "sent" if stage_is_the_greeting else outcome, "sent", "sent"]
    expected = [f"p{number}@example.com" for number in range(1, 6) if outcomes[number - 1] == "sent"]
    assert [one.recipients for one in server.arrived] == [[address] for address in expected]
    assert [result.provider_message_id == "" for result in results] == [one != "sent" for one in outcomes]
    assert server.empty_mails <= 1


def test_mails_in_turn_wait_for_the_server_once_each(
    provider: SmtpProvider, serve: Callable[..., SmtpServer]
) -> None:
    server = serve(pipelining=True)
    results = provider.deliver_in_turn([message(f"p{n}@example.com", n) for n in range(20)])
    assert {result.outcome for result in results} == {"sent"}
    assert server.connections == 1
    assert [one.recipients[0] for one in server.arrived] == [f"p{n}@example.com" for n in range(20)]


def test_an_address_that_the_server_does_not_know_is_suppressed(
    provider: SmtpProvider, serve: Callable[..., SmtpServer]
) -> None:
    server = serve(at={"RCPT": "550 5.1.1 No such user"})
    refused = provider.deliver(message())
    assert (refused.outcome, refused.suppress, refused.about_recipient) == ("permanent", "bounce", True)
    server.at = {"RCPT": "550 5.7.1 We do not like you"}
    assert provider.deliver(message()).suppress is None
    server.at = {"RCPT": "450 4.2.0 Greylisted"}
    assert provider.deliver(message()).about_recipient
    server.at = {"MAIL": "450 Slower"}
    assert not provider.deliver(message()).about_recipient


def test_nobody_listens(provider: SmtpProvider, settings: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.SMTP_PORT = closed.getsockname()[1]
        result = provider.deliver(message())
    assert result.outcome == "not_sent"
    assert "No connection" in result.detail


def test_a_name_that_leads_nowhere(provider: SmtpProvider, settings: Any) -> None:
    settings.SMTP_HOST = "mail.invalid"
    assert provider.deliver(message()).outcome == "not_sent"


def test_a_server_that_says_nothing(provider: SmtpProvider, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.SMTP_PORT = silent.getsockname()[1]
        result = provider.deliver(message())
    assert result.outcome == "not_sent"


def test_a_reset_before_the_final_dot_is_not_sent(provider: SmtpProvider, settings: Any) -> None:
    """Nobody accepts a mail whose end has not left here."""
    with _cutting_server() as port:
        settings.SMTP_PORT = port
        result = provider.deliver(message(text="x" * 30_000_000))
    assert result.outcome == "not_sent"


class _cutting_server:
    """Speaks up to 354, reads a little, and resets."""

    def __enter__(self) -> int:
        self.listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        port: int = self.listening.getsockname()[1]
        return port

    def _serve(self) -> None:
        connection, _ = self.listening.accept()
        with connection:
            connection.sendall(b"220 hello\r\n")
            for answer in (b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                connection.recv(4096)
                connection.sendall(answer)
            connection.recv(4096)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    def __exit__(self, *_: object) -> None:
        self.listening.close()


def test_one_connection_serves_many_mails(provider: SmtpProvider, serve: Callable[..., SmtpServer]) -> None:
    server = serve()
    for number in range(20):
        assert provider.deliver(message(number=number)).outcome == "sent"
    assert server.connections == 1
    assert server.deliveries == [f"delivery-{number}" for number in range(20)]


def test_a_connection_is_used_up_after_a_while(
    provider: SmtpProvider, serve: Callable[..., SmtpServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_module, "MAILS_PER_CONNECTION", 3)
    server = serve()
    for number in range(7):
        provider.deliver(message(number=number))
    assert server.connections == 3


def test_connections_that_the_server_closed_lose_and_double_nothing(
    provider: SmtpProvider, serve: Callable[..., SmtpServer]
) -> None:
    server = serve(idle_seconds=0.1)
    for number in range(4):
        assert provider.deliver(message(number=number)).outcome == "sent"
        time.sleep(0.25)
    assert server.deliveries == [f"delivery-{number}" for number in range(4)]
    assert server.connections == 4


def test_a_connection_that_dies_at_the_first_command_is_replaced(
    provider: SmtpProvider, serve: Callable[..., SmtpServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may close at the very moment in which we begin: nothing was sent, so it is simply sent anew."""
    server = serve(idle_seconds=0.1)
    provider.deliver(message())
    time.sleep(0.25)
    monkeypatch.setattr(smtp_module, "_has_something_to_read", lambda _sock: False)
    assert provider.deliver(message(number=1)).outcome == "sent"
    assert server.deliveries == ["delivery-0", "delivery-1"]


def test_threads_side_by_side_share_connections(
    provider: SmtpProvider, serve: Callable[..., SmtpServer]
) -> None:
    server = serve()

    def run(start: int) -> None:
        for number in range(start, start + 10):
            provider.deliver(message(number=number))

    threads = [threading.Thread(target=run, args=(start,)) for start in range(0, 80, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(server.deliveries) == sorted(f"delivery-{number}" for number in range(80))
    assert server.connections <= 8


@pytest.mark.parametrize("pipelining", [True, False])
def test_addresses_beyond_ascii(
    provider: SmtpProvider, serve: Callable[..., SmtpServer], pipelining: bool
) -> None:
    server = serve(pipelining=pipelining)
    assert provider.deliver(message("jürgen@example.com")).outcome == "sent"
    assert server.arrived[0].recipients == ["jürgen@example.com"]


def test_addresses_beyond_ascii_where_they_are_not_taken(
    provider: SmtpProvider, serve: Callable[..., SmtpServer]
) -> None:
    server = serve(smtputf8=False)
    result = provider.deliver(message("jürgen@example.com"))
    assert (result.outcome, "SMTPUTF8" in result.detail) == ("permanent", True)
    assert provider.deliver(message(number=1)).outcome == "sent"
    assert server.connections == 1


def test_a_header_with_a_line_break_never_leaves(
    provider: SmtpProvider, serve: Callable[..., SmtpServer]
) -> None:
    server = serve()
    assert provider.deliver(message(subject="a\r\nBcc: b@example.com")).outcome == "permanent"
    assert server.connections == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_for_this_machine(tmp_path_factory.mktemp("tls"))


def tls_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine trusts the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


def test_tls_is_used_where_it_is_offered(
    provider: SmtpProvider, serve: Callable[..., SmtpServer], trusted: Path, settings: Any
) -> None:
    settings.SMTP_USER, settings.SMTP_PASSWORD = "user", "right"
    server = serve(tls=tls_context(trusted), password="right")
    for number in range(3):
        assert provider.deliver(message(number=number)).outcome == "sent"
    assert server.connections == 1


def test_idle_connections_with_tls_that_the_server_closed(
    provider: SmtpProvider, serve: Callable[..., SmtpServer], trusted: Path
) -> None:
    server = serve(tls=tls_context(trusted), idle_seconds=0.2)
    for number in range(3):
        assert provider.deliver(message(number=number)).outcome == "sent"
        time.sleep(0.4)
    assert server.deliveries == [f"delivery-{number}" for number in range(3)]


def test_a_certificate_that_nobody_vouches_for(
    provider: SmtpProvider, serve: Callable[..., SmtpServer], certificate: Path
) -> None:
    serve(tls=tls_context(certificate))
    result = provider.deliver(message())
    assert (result.outcome, "certificate" in result.detail.lower()) == ("not_sent", True)


def test_a_refused_sign_in_is_the_accounts_trouble(
    provider: SmtpProvider, serve: Callable[..., SmtpServer], trusted: Path, settings: Any
) -> None:
    settings.SMTP_USER, settings.SMTP_PASSWORD = "user", "wrong"
    server = serve(tls=tls_context(trusted), password="right")
    result = provider.deliver(message())
    assert (result.outcome, result.detail.startswith("Sign-in refused: 535")) == ("not_sent", True)
    assert server.arrived == []


def test_a_password_is_not_sent_in_the_clear(
    provider: SmtpProvider, serve: Callable[..., SmtpServer], settings: Any
) -> None:
    settings.SMTP_USER, settings.SMTP_PASSWORD = "user", "right"
    serve(password="right")
    result = provider.deliver(message())
    assert (result.outcome, "no TLS" in result.detail) == ("not_sent", True)
