"""bin/run and the stand-ins of the providers: in development only, on a port of their own."""

from __future__ import annotations

import signal
import socket

import pytest

from castcomm.embedded import ports
from tests.embedded.conftest import Miniature

# Listens where it was told to, which the announcement must name.
_LINE = (
    'stand-ins: exec python -c "import os, socket, time; s = socket.socket(); '
    "s.bind(('127.0.0.1', int(os.environ['STAND_INS_PORT']))); s.listen(); time.sleep(1000)\"\n"
)


@pytest.fixture
def with_stand_ins(miniature: Miniature) -> Miniature:
    with (miniature.folder / "Procfile").open("a") as procfile:
        procfile.write(_LINE)
    return miniature


def _announced(said: str) -> str:
    return said.partition("Stand-ins")[2].partition("http://localhost:")[2].partition("/")[0]


def test_the_port_goes_with_that_of_the_site(with_stand_ins: Miniature) -> None:
    preferred = with_stand_ins.port + 27
    with socket.socket() as other:
        other.bind(("127.0.0.1", preferred))
        other.listen()
        child, said = with_stand_ins.start_and_wait()
    port = int(_announced(said))
    assert preferred < port < preferred + 10, "the next free one"
    assert ports.answers(port)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=40)
    assert with_stand_ins.processes() == []


def test_production_has_none(with_stand_ins: Miniature) -> None:
    child, said = with_stand_ins.start_and_wait(DEBUG="0")
    assert "Stand-ins" not in said
    assert not any("STAND_INS_PORT" in line for line in with_stand_ins.processes())
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=40)
