"""The client for addresses that users choose: nothing private is reached, and nothing holds it up."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from castcomm.common.http import RequestFailed, request


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path == "/silent":
            time.sleep(3)
            return
        if self.path == "/trickle":
            self._trickle()
            return
        body = b"x" * 5000 if self.path == "/large" else self.headers["Host"].encode()
        self.send_response(418 if self.path == "/teapot" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Agent", self.headers["User-Agent"])
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _trickle(self) -> None:
        # A byte every 50 ms: no single read ever takes long.
        try:
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 200:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Tests stay quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


FORBIDDEN = [
    "http://127.0.0.1/",
    "http://localhost/",
    "http://127.1/",
    "http://0.0.0.0/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
]


@pytest.mark.parametrize("url", FORBIDDEN)
def test_no_address_inside_is_reached(url: str) -> None:
    with pytest.raises(RequestFailed) as failure:
        request("GET", url, timeout=2)
    # Without IPv6 on this machine some do not even resolve, which is as good.
    assert failure.value.code in {"http_forbidden_address", "http_unreachable"}
    assert failure.value.sent is False


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http://",
        "http:///path",
        "http://user:pass@example.com/",
        "http://example.com:99999/",
        "http://exa mple.com/",
        "http://example.com/\r\nX-Injected: 1",
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(RequestFailed) as failure:
        request("GET", url, timeout=2)
    assert failure.value.code == "http_url"
    assert not failure.value.retryable


def test_a_name_is_checked_by_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(RequestFailed) as failure:
        request("GET", "http://harmless.example.com/", timeout=2)
    assert failure.value.code == "http_forbidden_address"


def test_loopback_is_for_those_who_ask(server: str) -> None:
    with pytest.raises(RequestFailed) as failure:
        request("GET", server, timeout=2)
    assert failure.value.code == "http_forbidden_address"
    answer = request("GET", server, allow_loopback=True)
    assert answer.status == 200
    assert answer.body.decode() == server.removeprefix("http://")
    assert answer.headers["X-Agent"] == "CastComm/1"


def test_every_status_is_an_answer(server: str) -> None:
    assert request("GET", f"{server}/teapot", allow_loopback=True).status == 418


def test_a_body_arrives(server: str) -> None:
    assert request("POST", server, body=b"hello", allow_loopback=True).body == b"hello"


def test_redirects_are_not_followed(server: str) -> None:
    answer = request("GET", f"{server}/redirect", allow_loopback=True)
    assert answer.status == 302
    assert "169.254" in answer.headers["Location"]


def test_a_large_answer_is_cut_off(server: str) -> None:
    with pytest.raises(RequestFailed) as failure:
        request("GET", f"{server}/large", allow_loopback=True, max_bytes=1000)
    assert failure.value.code == "http_too_large"


@pytest.mark.parametrize("path", ["/silent", "/trickle"])
def test_the_whole_call_is_bounded_in_time(server: str, path: str) -> None:
    started = time.monotonic()
    with pytest.raises(RequestFailed) as failure:
        request("GET", server + path, allow_loopback=True, timeout=0.6)
    assert time.monotonic() - started < 1.5
    assert failure.value.code == "http_timeout"
    assert failure.value.sent is None
    assert failure.value.retryable


def test_a_closed_port_is_known_not_to_have_heard(unused_tcp_port: int) -> None:
    with pytest.raises(RequestFailed) as failure:
        request("GET", f"http://127.0.0.1:{unused_tcp_port}/", allow_loopback=True)
    assert failure.value.code == "http_unreachable"
    assert failure.value.sent is False


def test_a_proxy_of_the_environment_is_not_used(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert request("GET", server, allow_loopback=True).status == 200
