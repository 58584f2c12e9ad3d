"""How stand-ins misbehave, as a client sees it; and what they count meanwhile."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import requests

from notifications.stand_ins import StandIn, stand_in

PATHS = {
    "sendgrid": "v3/mail/send",
    "mailgun": "v3/example.com/messages",
    "resend": "emails",
    "postmark": "email",
    "ses": "v2/email/outbound-emails",
    "twilio": "2010-04-01/Accounts/AC0/Messages.json",
    "sns": "",
    "fcm": "v1/projects/demo/messages:send",
    "webpush": "device",
    "slack": "services/T0/B0/x",
    "hook": "crm",
}
STATUSES = {"429": 429, "503": 503, "400": 400, "401": 401, "500": 500}
# Amazon and Slack say the same with another number.
OWN_STATUSES = {
    ("ses", "401"): 403,
    ("sns", "401"): 403,
    ("sns", "429"): 400,
    ("slack", "401"): 403,
}


def _post(server: StandIn, provider: str, **options: object) -> requests.Response:
    return requests.post(server.url(provider, PATHS[provider]), data=b"{}", **({"timeout": 5} | options))


def _hook(server: StandIn, delivery: str = "d-1", **options: object) -> requests.Response:
    return _post(server, "hook", headers={"X-CastComm-Delivery": delivery}, **options)


@pytest.mark.parametrize("provider", PATHS)
@pytest.mark.parametrize("mode", STATUSES)
def test_a_status_is_given_in_the_provider_s_form(server: StandIn, provider: str, mode: str) -> None:
    server.break_(provider, mode=mode, retry_after=2)
    answer = _post(server, provider)
    assert answer.status_code == OWN_STATUSES.get((provider, mode), STATUSES[mode])
    assert answer.headers["Retry-After"] == "2"
    assert answer.content
    assert server.accepted(provider) == []
    assert server.calls(provider) == 1


@pytest.mark.parametrize("provider", PATHS)
def test_a_refused_connection_never_arrives(server: StandIn, provider: str) -> None:
    address = urlsplit(server.url(provider))
    server.break_(provider, mode="refuse")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((str(address.hostname), int(address.port or 0)))
    assert server.calls(provider) == 0
    server.mend(provider)
    assert _post(server, provider).status_code != 503


def test_refusing_ends_kept_connections_too(server: StandIn) -> None:
    with requests.Session() as session:
        assert session.post(server.url("hook", "a"), timeout=5).ok
        server.break_("hook", mode="refuse")
        with pytest.raises(requests.ConnectionError):
            session.post(server.url("hook", "a"), timeout=5)
    assert server.calls("hook") == 1


def test_a_reset_comes_after_the_message_was_taken(server: StandIn) -> None:
    server.break_("hook", mode="reset")
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        _hook(server)
    assert [one.delivery_id for one in server.accepted("hook")] == ["d-1"]


def test_a_hanging_provider_takes_the_message_and_says_nothing(server: StandIn) -> None:
    server.break_("hook", mode="hang")
    with pytest.raises(requests.ReadTimeout):
        _hook(server, timeout=0.2)
    server.mend("hook")
    assert _hook(server).ok
    assert server.duplicates("hook") == 1


def test_a_fault_may_say_what_it_takes(server: StandIn) -> None:
    server.break_("hook", mode="500", takes=True)
    assert _hook(server).status_code == 500
    server.break_("hook", mode="hang", takes=False)
    with pytest.raises(requests.ReadTimeout):
        _hook(server, timeout=0.2)
    assert server.accepted_count("hook") == 1
    assert server.calls("hook") == 2


def test_a_slow_provider_answers_all_at_the_same_time(server: StandIn) -> None:
    server.break_("hook", mode="slow", seconds=0.3)
    address = urlsplit(server.url("hook"))
    call = b"POST /hook/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    clients = [socket.create_connection(("127.0.0.1", int(address.port or 0))) for _ in range(20)]
    for client in clients:
        client.sendall(call)
    assert server.wait_for("hook", calls=20)
    assert server.accepted_count("hook") < 20, "all have called before the first is answered"
    for client in clients:
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        client.close()
    assert server.accepted_count("hook") == 20


def test_so_many_times_and_then_well_again(server: StandIn) -> None:
    server.break_("hook", mode="503", times=2)
    assert [_hook(server).status_code for _ in range(3)] == [503, 503, 200]
    assert server.mode("hook") == "ok"


def test_one_port_for_all_breaks_off_unread() -> None:
    with stand_in() as other:
        port = other.port
    with stand_in(port) as server:
        assert server.url("sendgrid") == f"http://127.0.0.1:{port}/sendgrid"
        server.break_("hook", mode="refuse", times=1)
        with pytest.raises(requests.ConnectionError):
            _hook(server)
        assert server.calls("hook") == 0
        assert _hook(server).ok


@pytest.mark.parametrize(
    ("provider", "options", "named"),
    [
        ("nobody", {"mode": "503"}, "nobody"),
        ("hook", {"mode": "418"}, "418"),
        ("sendgrid", {"mode": "409"}, "409"),
        ("hook", {"mode": "429", "retry_after": -1}, "retry_after"),
        ("hook", {"mode": "503", "times": -1}, "times"),
        ("hook", {"mode": "refuse", "times": 1}, "times"),
    ],
)
def test_what_cannot_be_done_is_said(
    server: StandIn, provider: str, options: dict[str, object], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        server.break_(provider, **options)  # type: ignore[arg-type]
    assert server.mode("hook") == "ok"


def test_memory_is_bounded_and_counters_are_not(server: StandIn) -> None:
    with stand_in(keep=3) as small, requests.Session() as session:
        for number in range(5):
            headers = {"X-CastComm-Delivery": f"d-{number}"}
            session.post(small.url("hook", "a"), headers=headers, timeout=5)
        assert [one.delivery_id for one in small.accepted("hook")] == ["d-2", "d-3", "d-4"]
        assert small.accepted_count("hook") == 5
        session.post(small.url("hook", "a"), headers={"X-CastComm-Delivery": "d-0"}, timeout=5)
        assert small.duplicates("hook") == 1, "also of one that is no longer kept"


def test_chunks_pipelined_calls_and_rubbish(server: StandIn) -> None:
    chunks = (part for part in (b'{"a":', b"1}"))
    assert requests.post(server.url("hook", "a"), data=chunks, timeout=5).ok
    assert server.accepted("hook")[0].body == {"a": 1}
    port = int(urlsplit(server.url("hook")).port or 0)
    call = b"POST /hook/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(call % 1 + call % 2)
        assert server.wait_for("hook", accepted=3)
        assert [one.to for one in server.accepted("hook")[1:]] == ["1", "2"]
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
