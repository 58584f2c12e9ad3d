"""What each status and each way of failing comes to: real connections, real exceptions."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

from notifications.providers.base import Ambiguous, NotSent, ProviderRefusal, RefusedForGood
from notifications.providers.outcomes import (
    refusal_for_exception,
    refusal_for_status,
    retry_after_seconds,
)
from notifications.providers.pooled_http import session

from .far_side import FarSide, answer, certificate, far_side, reset

NOT_SENT = [300, 301, 302, 304, 307, 308, 401, 402, 403, 404, 425, 429, 503]
PERMANENT = [400, 405, 406, 408, 409, 410, 413, 415, 418, 421, 422, 431, 451, 499]
UNKNOWN = [500, 501, 502, 504, 505, 507, 520, 521, 522, 524, 529, 598, 599, 0, 100, 101, 600, 999]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, NotSent) for status in NOT_SENT),
        *((status, RefusedForGood) for status in PERMANENT),
        *((status, Ambiguous) for status in UNKNOWN),
    ],
)
def test_every_status_has_one_meaning(status: int, kind: type[ProviderRefusal]) -> None:
    found = refusal_for_status(status, "said so")
    assert type(found) is kind
    assert found.detail == "said so"
    assert not found.about_recipient


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_success_is_no_refusal(status: int) -> None:
    assert refusal_for_status(status, "") is None


def test_the_wait_goes_along_where_another_try_may_help() -> None:
    limited = refusal_for_status(429, "", retry_after=7.5)
    refused = refusal_for_status(400, "", retry_after=7.5)
    assert limited is not None
    assert limited.retry_after == 7.5
    assert refused is not None
    assert refused.retry_after is None


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("0", 0.0),
        ("2", 2.0),
        (" 30 ", 30.0),
        ("1.5", 1.5),
        ("86400", 86_400.0),
        ("86401", 86_400.0),
        ("999999999999999", 86_400.0),
        ("9" * 400, None),
        ("-1", None),
        ("1e9", None),
        ("nan", None),
        ("inf", None),
        ("0x10", None),
        ("١٢", None),
        ("soon", None),
        ("", None),
        ("1, 2", None),
        ("Wed, 99 Foo 2026 99:99:99 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400.0),
    ],
)
def test_retry_after_is_read_and_bounded(given: str, seconds: float | None) -> None:
    assert retry_after_seconds({"Retry-After": given}) == seconds


def test_retry_after_as_a_date() -> None:
    in_an_hour = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    found = retry_after_seconds({"retry-after": format_datetime(in_an_hour, usegmt=True)})
    assert found is not None
    assert 3_590 < found <= 3_600


def test_without_the_header_there_is_no_wait() -> None:
    assert retry_after_seconds({}) is None
    assert retry_after_seconds(requests.structures.CaseInsensitiveDict({"RETRY-AFTER": "3"})) == 3.0


# --- failures over real connections, the same for both clients -----------------------------------------


def over_requests(url: str) -> None:
    with session(2, connect_timeout=0.5, read_timeout=0.5) as made:
        made.post(url + "/secret-path", data=b"x" * 1000)


def over_botocore(url: str) -> None:
    config = Config(connect_timeout=0.5, read_timeout=0.5, retries={"total_max_attempts": 1})
    client = boto3.client(
        "sns",
        endpoint_url=url + "/secret-path",
        region_name="eu-west-1",
        aws_access_key_id="id",
        aws_secret_access_key="key",
        config=config,
    )
    client.publish(PhoneNumber="+41790000000", Message="x" * 1000)


clients = pytest.mark.parametrize("call", [over_requests, over_botocore])
Call = Callable[[str], None]


def refusal(call: Call, url: str) -> ProviderRefusal:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any that the client has
        call(url)
    found = refusal_for_exception(caught.value)
    assert "secret" not in found.detail
    assert len(found.detail) < 200
    return found


@clients
def test_a_refused_connection(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = refusal(call, f"http://127.0.0.1:{port}")
    assert type(found) is NotSent
    assert "Connection refused" in found.detail


@clients
def test_a_name_that_does_not_resolve(call: Call) -> None:
    assert type(refusal(call, "http://nothing.invalid")) is NotSent


@clients
def test_a_connection_that_is_not_made_in_time(call: Call) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        where = listening.getsockname()
        # The queue of the unaccepted is full after these: the next SYN is not answered.
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(where)
            waiting.append(one)
        found = refusal(call, f"http://127.0.0.1:{where[1]}")
        for one in waiting:
            one.close()
    assert type(found) is NotSent


def _closes_at_once(_far: FarSide, connection: socket.socket) -> None:
    connection.close()


def _closes_after_reading(far: FarSide, _connection: socket.socket) -> None:
    far.read(_connection)


def _resets_after_reading(far: FarSide, connection: socket.socket) -> None:
    far.read(connection)
    reset(connection)


def _hangs(far: FarSide, connection: socket.socket) -> None:
    far.read(connection)
    far.stopping.wait(10)


def _hangs_within_the_headers(far: FarSide, connection: socket.socket) -> None:
    far.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-")
    far.stopping.wait(10)


def _breaks_off_within_the_status(far: FarSide, connection: socket.socket) -> None:
    far.read(connection)
    connection.sendall(b"HTTP/1.1 20")


def _speaks_something_else(far: FarSide, connection: socket.socket) -> None:
    far.read(connection)
    connection.sendall(b"220 mail.example.com ESMTP\r\n")


@clients
@pytest.mark.parametrize(
    "act",
    [
        _closes_at_once,
        _closes_after_reading,
        _resets_after_reading,
        _hangs,
        _hangs_within_the_headers,
        _breaks_off_within_the_status,
        _speaks_something_else,
    ],
)
def test_once_the_request_went_out_nobody_knows(call: Call, act: Any) -> None:
    with far_side(act) as far:
        assert type(refusal(call, far.url)) is Ambiguous
        assert far.connections == 1  # and it was not tried again


@clients
def test_the_far_side_speaks_no_tls(call: Call) -> None:
    with far_side(lambda far, connection: connection.sendall(answer(400))) as far:
        found = refusal(call, f"https://127.0.0.1:{far.port}")
    assert type(found) is NotSent


@clients
def test_a_tls_handshake_that_hangs(call: Call) -> None:
    with far_side(lambda far, _: far.stopping.wait(10) and None) as far:
        found = refusal(call, f"https://127.0.0.1:{far.port}")
    assert type(found) is NotSent


@clients
def test_a_tls_handshake_that_breaks_off(call: Call) -> None:
    with far_side(_closes_at_once) as far:
        found = refusal(call, f"https://127.0.0.1:{far.port}")
    assert type(found) is NotSent


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server's side with a certificate that nobody else trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    return context


@clients
def test_a_certificate_that_is_not_trusted(call: Call, tls: ssl.SSLContext) -> None:
    with far_side(lambda far, connection: far.read(connection) and None, tls) as far:
        found = refusal(call, f"https://127.0.0.1:{far.port}")
        assert far.requests == []
    assert type(found) is NotSent
    assert "certificate" in found.detail


@pytest.mark.parametrize("act", [_hangs, _resets_after_reading, _closes_after_reading])
def test_within_tls_nobody_knows_once_the_request_went_out(
    tls: ssl.SSLContext, tmp_path: Path, act: Any
) -> None:
    with far_side(act, tls) as far, session(2, connect_timeout=0.5, read_timeout=0.5) as made:
        with pytest.raises(requests.RequestException) as caught:
            made.post(f"https://127.0.0.1:{far.port}/", data=b"x", verify=str(tmp_path / "server.pem"))
        assert len(far.requests) == 1
    assert type(refusal_for_exception(caught.value)) is Ambiguous


@pytest.mark.parametrize(
    ("status", "kind"), [(429, NotSent), (403, NotSent), (400, RefusedForGood), (500, Ambiguous)]
)
def test_an_answer_of_amazon_counts_by_its_status(status: int, kind: type[ProviderRefusal]) -> None:
    body = (
        b'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        b"<Code>SomeCode</Code><Message>Because</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )

    def act(far: FarSide, connection: socket.socket) -> None:
        far.read(connection)
        connection.sendall(answer(status, body, "Content-Type: text/xml\r\nRetry-After: 3\r\n"))

    with far_side(act) as far:
        found = refusal(over_botocore, far.url)
        assert far.connections == 1
    assert type(found) is kind
    assert "SomeCode: Because" in found.detail
    assert found.retry_after == (None if kind is RefusedForGood else 3.0)


def test_what_is_unknown_here_is_ambiguous() -> None:
    found = refusal_for_exception(RuntimeError("token=secret"))
    assert type(found) is Ambiguous
    assert found.detail == "The connection broke before the answer: RuntimeError"


def test_a_refusal_stays_what_it_is() -> None:
    given = NotSent("x")
    assert refusal_for_exception(given) is given


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/", "http://", "http://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    assert type(refusal(over_requests, url)) is NotSent


def test_a_credential_that_is_no_header() -> None:
    with (
        session(1, connect_timeout=1, read_timeout=1) as made,
        pytest.raises(requests.RequestException) as caught,
    ):
        made.post("http://127.0.0.1:9/", headers={"Authorization": "Bearer secret\r\nX: y"})
    found = refusal_for_exception(caught.value)
    assert type(found) is NotSent
    assert "secret" not in found.detail


def test_chains_that_run_in_a_circle_end() -> None:
    one, other = RuntimeError("a"), RuntimeError("b")
    one.__cause__, other.__cause__ = other, one
    started = time.monotonic()
    assert type(refusal_for_exception(one)) is Ambiguous
    assert time.monotonic() - started < 5
