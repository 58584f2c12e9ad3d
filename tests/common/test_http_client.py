"""The client that keeps connections: the same rules, and a connection is used again only when that is safe."""

from __future__ import annotations

import datetime as dt
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from castcomm.common.http import Client, RequestFailed, check_address

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Script:
    """A server that answers the n-th request with the n-th bytes, then with the last ones."""

    def __init__(self, *answers: bytes, close_after: int | None = None) -> None:
        self.answers = answers
        self.close_after = close_after
        self.connections = 0
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        served = 0
        while True:
            lines = self._head(stream)
            if not lines:
                return
            length = next((int(one[15:]) for one in lines if one.lower().startswith(b"content-length:")), 0)
            self.requests.append(b"".join(lines) + b"\r\n" + stream.read(length))
            connection.sendall(self.answers[min(len(self.requests), len(self.answers)) - 1])
            served += 1
            if served == self.close_after:
                connection.shutdown(socket.SHUT_RDWR)
                return

    @staticmethod
    def _head(stream: BinaryIO) -> list[bytes]:
        """The lines up to the empty one, or none when the caller hung up before it."""
        lines: list[bytes] = []
        while True:
            try:
                line = stream.readline()
            except OSError:
                return []
            if line == b"\r\n":
                return lines
            if not line:
                return []
            lines.append(line)

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()


@pytest.fixture
def script() -> Iterator[Callable[..., Script]]:
    made: list[Script] = []

    def make(*answers: bytes, **options: int) -> Script:
        made.append(Script(*(answers or (OK,)), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(allow_loopback=True) as made:
        yield made


def test_calls_in_turn_share_a_connection(script: Callable[..., Script], client: Client) -> None:
    server = script()
    for number in range(3):
        assert client.request("POST", server.url, body=b"%d" % number).body == b"ok"
    assert server.connections == 1
    assert [one[-1:] for one in server.requests] == [b"0", b"1", b"2"]


def test_no_more_than_the_bound_stays_open(script: Callable[..., Script]) -> None:
    servers = [script() for _ in range(3)]
    with Client(allow_loopback=True, hosts=2) as client:
        for server in (*servers, *servers):
            client.request("GET", server.url)
    # With room for two hosts, the one not used for longest is given up each time.
    assert [server.connections for server in servers] == [2, 2, 2]


def test_connections_over_the_bound_per_host_are_closed(script: Callable[..., Script]) -> None:
    server = script()
    together = threading.Barrier(3)

    def call() -> None:
        together.wait()
        client.request("GET", server.url)

    with Client(allow_loopback=True, per_host=1) as client:
        for _ in range(2):
            threads = [threading.Thread(target=call) for _ in range(3)]
            for one in threads:
                one.start()
            for one in threads:
                one.join()
        assert len(server.requests) == 6
        assert sum(len(waiting) for waiting in client._idle.values()) == 1


def test_a_connection_that_the_far_side_closed_is_not_used_again(
    script: Callable[..., Script], client: Client
) -> None:
    server = script(close_after=1)
    for _ in range(3):
        assert client.request("GET", server.url).status == 200
        wait_for_the_end(client)
    assert server.connections == 3


def wait_for_the_end(client: Client) -> None:
    """Until this side's kernel has heard that the far side closed; what is asked before that may meet the end."""
    for waiting in client._idle.values():
        for connection in waiting:
            heard, _, _ = select.select([connection._socket], [], [], 20)
            assert heard


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        # Somebody else's answer behind ours must not become the next one's.
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        OK + b"junk",
    ],
)
def test_an_answer_that_ends_the_connection_ends_it(
    script: Callable[..., Script], client: Client, answer: bytes
) -> None:
    server = script(answer)
    for _ in range(2):
        got = client.request("GET", server.url)
        assert (got.status, got.body) == (200, b"ok")
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, 200, b"ok"),
        (
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            201,
            b"abc",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 410 \r\nContent-Length: 0\r\n\r\n", 410, b""),
    ],
)
def test_answers_of_all_forms_are_read(
    script: Callable[..., Script], client: Client, answer: bytes, status: int, body: bytes
) -> None:
    server = script(answer)
    for _ in range(2):
        got = client.request("POST", server.url, body=b"x")
        assert (got.status, got.body) == (status, body)
    assert server.connections == 1


def test_a_body_may_end_with_the_connection(script: Callable[..., Script], client: Client) -> None:
    server = script(b"HTTP/1.1 200 OK\r\n\r\nall of it", close_after=1)
    assert client.request("GET", server.url).body == b"all of it"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
def test_half_an_answer_says_nothing(script: Callable[..., Script], client: Client, answer: bytes) -> None:
    server = script(answer, close_after=1)
    with pytest.raises(RequestFailed) as failure:
        client.request("POST", server.url, body=b"x")
    assert failure.value.code == "http_broken"
    assert failure.value.sent is None


def test_a_head_without_end_is_cut_off(script: Callable[..., Script], client: Client) -> None:
    server = script(b"HTTP/1.1 200 OK\r\n" + b"X-Long: yyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 10_000)
    with pytest.raises(RequestFailed) as failure:
        client.request("GET", server.url, max_bytes=1000)
    assert failure.value.code == "http_too_large"


def test_a_body_that_only_headers_describe_is_not_waited_for(
    script: Callable[..., Script], client: Client
) -> None:
    server = script(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    assert client.request("HEAD", server.url).body == b""


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Note": "a\r\nX-Injected: b"},
        {"X-Note": "a\nb"},
        {"X-Note\r\nX-Injected": "b"},
        {"X Note": "b"},
        {"": "b"},
        {"X-Note": "\x00"},
        {"X-Note": "✓"},
        {"Host": "other.example.com"},
        {"Transfer-Encoding": "chunked"},
        {"content-length": "0"},
    ],
)
def test_a_header_that_would_say_something_else_is_not_sent(
    script: Callable[..., Script], client: Client, headers: dict[str, str]
) -> None:
    server = script()
    with pytest.raises(RequestFailed) as failure:
        client.request("POST", server.url, headers=headers, body=b"x")
    assert failure.value.code == "http_header"
    assert failure.value.sent is False
    assert server.requests == []


def test_the_address_is_written_as_http_demands(script: Callable[..., Script], client: Client) -> None:
    server = script()
    client.request("GET", f"{server.url}ü/a'b?q=%C3%BC&r=ü#part")
    first, host, *_ = server.requests[0].split(b"\r\n")
    assert first == b"GET /%C3%BC/a'b?q=%C3%BC&r=%C3%BC HTTP/1.1"
    assert host == b"Host: " + server.url[7:-1].encode()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:a00:1]/",
        "https://[64:ff9b::a00:1]/",
        "https://localhost/",
    ],
)
def test_nothing_inside_is_reached(url: str) -> None:
    with Client() as client, pytest.raises(RequestFailed) as failure:
        client.request("POST", url, body=b"x")
    assert (failure.value.code, failure.value.sent) == ("http_forbidden_address", False)
    with pytest.raises(RequestFailed, match="public internet"):
        check_address(url)


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, 1, 6, "", (one, 443)) for one in ("93.184.215.14", "192.168.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with Client() as client, pytest.raises(RequestFailed) as failure:
        client.request("GET", "https://rebound.example.com/")
    assert failure.value.code == "http_forbidden_address"


def test_loopback_does_not_open_the_rest(client: Client) -> None:
    with pytest.raises(RequestFailed) as failure:
        client.request("GET", "http://10.0.0.1/")
    assert failure.value.code == "http_forbidden_address"


def test_the_address_that_was_checked_is_the_one_connected_to(
    script: Callable[..., Script], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = script()
    real, port, asked = socket.getaddrinfo, int(server.url[:-1].rsplit(":", 1)[1]), []

    def resolve(host: str, *_: object, **__: object) -> object:
        asked.append(host)
        return real("127.0.0.1", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for _ in range(2):
        client.request("GET", f"http://changing.example.com:{port}/")
    assert asked == ["changing.example.com"]


@contextmanager
def secure_server(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """A TLS server that answers once per connection, and the certificate it shows."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(65536)
                    secure.sendall(OK)
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://localhost:{listener.getsockname()[1]}/", pem
    listener.close()


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    from castcomm.common import http_wire

    def trust(pem: Path) -> None:
        monkeypatch.setattr("certifi.where", lambda: str(pem))
        http_wire._tls.cache_clear()

    yield trust
    http_wire._tls.cache_clear()


@pytest.mark.parametrize(("name", "trusted"), [("localhost", False), ("other.example.com", True)])
def test_a_host_has_to_prove_its_name(
    tmp_path: Path, client: Client, trusting: Callable[[Path], None], name: str, trusted: bool
) -> None:
    with secure_server(tmp_path, name) as (url, pem):
        if trusted:
            trusting(pem)
        with pytest.raises(RequestFailed, match="certificate") as failure:
            client.request("POST", url, body=b"secret")
    assert (failure.value.code, failure.value.sent) == ("http_unreachable", False)


def test_a_host_that_proves_its_name_is_talked_to(
    tmp_path: Path, client: Client, trusting: Callable[[Path], None]
) -> None:
    with secure_server(tmp_path, "localhost") as (url, pem):
        trusting(pem)
        assert client.request("POST", url, body=b"x").body == b"ok"
