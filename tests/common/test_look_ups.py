"""Looking up names: a name server that never answers holds nobody up for longer than they may wait."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from castcomm.common import look_ups
from castcomm.common.http import Client, RequestFailed, check_address
from castcomm.common.look_ups import look_up


class NameServer:
    """Answers with 192.0.2.1 for every name but those under hanging.example, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.free = threading.Event()
        self.real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.resolve)

    def resolve(self, host: str, port: int, *more: Any, **named: Any) -> Any:
        self.asked.append(host)
        if host.endswith("hanging.example"):
            self.free.wait(60)
        if host == "nowhere.example":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return self.real("192.0.2.1", port, *more, **named)


def running() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "look-up"]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    made = NameServer(monkeypatch)
    yield made
    made.free.set()
    for thread in running():
        thread.join(10)
    assert not running()
    assert not look_ups._places.running, "every thread has given its place back"


def test_a_name_leads_somewhere_or_nowhere(names: NameServer) -> None:
    assert look_up("somewhere.example", 443)[0][4] == ("192.0.2.1", 443)
    with pytest.raises(socket.gaierror):
        look_up("nowhere.example", 443)
    assert look_up("192.0.2.7", 80), "an address needs no thread"


def test_a_call_ends_although_the_name_server_does_not_answer(names: NameServer) -> None:
    with Client() as client, pytest.raises(RequestFailed) as failure:
        client.request("POST", "https://www.hanging.example/", body=b"x", timeout=0.2)
    assert (failure.value.code, failure.value.sent, failure.value.retryable) == ("http_timeout", False, True)
    assert running(), "it hangs still: nobody has waited for it"


def test_a_check_of_an_address_ends_too(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_ups, "SECONDS", 0.2)
    with pytest.raises(RequestFailed) as failure:
        check_address("https://www.hanging.example/")
    assert failure.value.code == "http_timeout"


def test_what_comes_too_late_is_thrown_away(names: NameServer) -> None:
    with pytest.raises(TimeoutError):
        look_up("www.hanging.example", 443, seconds=0.1)
    late = running()
    names.free.set()
    for thread in late:
        thread.join(10)
    assert look_up("www.hanging.example", 443)
    assert names.asked == ["www.hanging.example"] * 2, "the next one asks anew"


def test_one_name_that_hangs_leaves_room_for_others(names: NameServer) -> None:
    def ask(_: int) -> str:
        with pytest.raises(TimeoutError):
            look_up("www.hanging.example", 443, seconds=0.3)
        return "late"

    with ThreadPoolExecutor(30) as callers:
        assert list(callers.map(ask, range(60))) == ["late"] * 60
    assert len(running()) == look_ups.THREADS_PER_NAME
    assert look_up("somewhere.example", 443)


def test_threads_do_not_grow_without_end(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_ups, "THREADS", 5)
    for number in range(9):
        with pytest.raises(TimeoutError):
            look_up(f"{number}.hanging.example", 443, seconds=0.05)
    assert len(running()) == 5
    with pytest.raises(TimeoutError, match="too many"):
        look_up("somewhere.example", 443, seconds=0.05)
    names.free.set()
    assert look_up("somewhere.example", 443), "who waits gets the place of one that is done"
