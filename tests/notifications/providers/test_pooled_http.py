"""Kept connections: used again, not used when they may be dead, and nothing that surprises in between."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from notifications.providers import pooled_http
from notifications.providers.base import NotSent
from notifications.providers.outcomes import refusal_for_exception
from notifications.providers.pooled_http import PooledSession, session
from tests.common.test_look_ups import NameServer

from .far_side import FarSide, answer, answering, certificate, far_side


@pytest.fixture
def made() -> Iterator[PooledSession]:
    with session(4, connect_timeout=1, read_timeout=1) as one:
        yield one


def test_a_connection_is_used_again(made: PooledSession) -> None:
    with far_side(answering(answer(202))) as far:
        for _ in range(20):
            assert made.post(far.url, data=b"x").status_code == 202
        assert (far.connections, len(far.requests)) == (1, 20)


def test_as_many_connections_as_threads_and_all_of_them_stay() -> None:
    threads = 8
    together = threading.Barrier(threads)

    def act(far: FarSide, connection: socket.socket) -> None:
        while far.read(connection):
            together.wait(10)  # all of them are here at once
            connection.sendall(answer(200))

    with far_side(act) as far, session(threads, connect_timeout=5, read_timeout=15) as made:
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(5):
                done = list(pool.map(lambda _: made.post(far.url, data=b"x").status_code, range(threads)))
                assert done == [200] * threads
        assert far.connections == threads


def test_what_the_far_side_closed_is_not_used_again(made: PooledSession) -> None:
    closed = threading.Event()

    def act(far: FarSide, connection: socket.socket) -> None:
        if far.read(connection):
            connection.sendall(answer(200))
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with far_side(act) as far:
        for _ in range(5):
            closed.clear()
            assert made.post(far.url, data=b"x").status_code == 200
            assert closed.wait(5)
        assert far.connections == 5


def test_what_was_idle_for_long_is_not_used_again(
    made: PooledSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with far_side(answering(answer(200))) as far:
        made.post(far.url, data=b"x")
        monkeypatch.setattr(pooled_http, "IDLE_SECONDS", 0.0)
        made.post(far.url, data=b"x")
        assert far.connections == 2


def test_redirects_are_answers(made: PooledSession) -> None:
    moved = answer(307, headers="Location: /elsewhere\r\n")
    with far_side(answering(moved, answer(200))) as far:
        assert made.post(far.url, data=b"x").status_code == 307
        assert len(far.requests) == 1


def test_the_environment_has_no_say(
    made: PooledSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("default login someone password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with far_side(answering(answer(200))) as far:
        assert made.post(far.url, data=b"x").status_code == 200
        assert b"authorization" not in far.requests[0].lower()


def test_no_cookie_is_kept(made: PooledSession) -> None:
    with far_side(answering(answer(200, headers="Set-Cookie: a=b; Path=/\r\n"))) as far:
        made.post(far.url, data=b"x")
        made.post(far.url, data=b"x")
        assert b"cookie" not in far.requests[1].lower()


def test_a_body_that_breaks_off_leaves_the_status(made: PooledSession) -> None:
    def act(far: FarSide, connection: socket.socket) -> None:
        far.read(connection)
        connection.sendall(b'HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{"id')

    with far_side(act) as far:
        found = made.post(far.url, data=b"x")
        assert (found.status_code, found.content) == (202, b'{"id')
        assert made.post(far.url, data=b"x").status_code == 202  # over a new connection
        assert far.connections == 2


def test_a_body_that_trickles_ends_with_the_time(made: PooledSession) -> None:
    def act(far: FarSide, connection: socket.socket) -> None:
        far.read(connection)
        connection.sendall(b"HTTP/1.1 429 Later\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not far.stopping.wait(0.1):
            connection.sendall(b"1\r\nx\r\n")

    with far_side(act) as far:
        assert made.post(far.url, data=b"x").status_code == 429


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_is_read_up_to_its_bound(made: PooledSession, packed: bool) -> None:
    body = b"a" * (pooled_http.MAX_BODY * 3)
    sent = answer(500, gzip.compress(body), "Content-Encoding: gzip\r\n") if packed else answer(500, body)
    with far_side(answering(sent)) as far:
        found = made.post(far.url, data=b"x")
        assert found.status_code == 500
        assert found.content == body[: pooled_http.MAX_BODY]


def test_a_packed_body_is_unpacked(made: PooledSession) -> None:
    with far_side(answering(answer(200, gzip.compress(b'{"id": 1}'), "Content-Encoding: gzip\r\n"))) as far:
        assert made.post(far.url, data=b"x").json() == {"id": 1}


def test_it_can_be_closed_and_used_again(made: PooledSession) -> None:
    with far_side(answering(answer(200))) as far:
        made.post(far.url, data=b"x")
        made.close()
        made.post(far.url, data=b"x")
        assert far.connections == 2


def test_a_name_server_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    names = NameServer(monkeypatch)
    with session(4, connect_timeout=0.2, read_timeout=1) as made:
        for scheme in ("http", "https"):
            with pytest.raises(requests.ConnectTimeout) as failure:
                made.post(f"{scheme}://www.hanging.example/", data=b"x")
            assert isinstance(refusal_for_exception(failure.value), NotSent)
        with pytest.raises(requests.ConnectionError) as failed:
            made.post("https://nowhere.example/", data=b"x")
        assert isinstance(refusal_for_exception(failed.value), NotSent)
    names.free.set()


def test_each_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with far_side(answering(answer(200))) as far, session(4, connect_timeout=2, read_timeout=5) as made:
        asked = socket.getaddrinfo

        def two(host: str, port: int, *more: Any, **named: Any) -> Any:
            if host != "two.example":
                return asked(host, port, *more, **named)
            nobody = asked("127.0.0.9", port, *more, **named)  # where nobody listens
            return [*nobody, *asked("127.0.0.1", port, *more, **named)]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        assert made.post(f"http://two.example:{far.port}", data=b"x").status_code == 200
        assert b"two.example" in far.requests[0]


def test_a_certificate_is_held_to_the_name_and_not_to_its_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made_for = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made_for)
    asked = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more, **named: asked("127.0.0.1", *more, **named)
    )
    with (
        far_side(answering(answer(200)), context) as far,
        session(4, connect_timeout=2, read_timeout=5) as made,
    ):
        made.verify = str(made_for)
        assert made.post(f"https://localhost:{far.port}", data=b"x").status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            made.post(f"https://elsewhere.example:{far.port}", data=b"x")


def test_certificates_are_checked(made: PooledSession, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    with far_side(answering(answer(200)), context) as far:
        with pytest.raises(requests.exceptions.SSLError):
            made.post(f"https://127.0.0.1:{far.port}", data=b"x")
        assert far.requests == []
