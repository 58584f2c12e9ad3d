"""The control API, through the client that other processes use; and the process itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from notifications.stand_ins import StandIn
from notifications.stand_ins.remote import RemoteStandIn, StandInAway
from tests.notifications.smtp_server import Arrived, smtp_server

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def remote(server: StandIn) -> RemoteStandIn:
    return RemoteStandIn(f"http://127.0.0.1:{server.port}")


def test_breaks_mends_and_tells(server: StandIn, remote: RemoteStandIn) -> None:
    remote.break_("hook", mode="429", retry_after=1.5, times=1)
    assert remote.state()["hook"] | {"url": ""} == {
        "url": "",
        "mode": "429",
        "retry_after": 1.5,
        "times": 1,
        "calls": 0,
        "accepted": 0,
        "duplicates": 0,
    }
    answer = requests.post(remote.url("hook") + "/crm", json={"a": 1}, timeout=5)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1.5")
    remote.break_("hook", mode="hang")
    remote.mend("hook")
    assert requests.post(remote.url("hook") + "/crm", json={"a": 1}, timeout=5).ok
    assert [one["body"] for one in remote.accepted("hook")] == [{"a": 1}]
    assert remote.calls("hook") == 2
    remote.forget()
    assert remote.calls("hook") == 0


def test_a_port_is_closed_and_opened_before_the_answer(server: StandIn, remote: RemoteStandIn) -> None:
    remote.break_("hook", mode="refuse")
    with pytest.raises(requests.ConnectionError):
        requests.post(server.url("hook", "a"), timeout=5)
    remote.mend()
    assert requests.post(server.url("hook", "a"), timeout=5).ok


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "provider"),
        ({"provider": "hook"}, "mode"),
        ({"provider": "hook", "mode": 503}, "mode"),
        ({"provider": "hook", "mode": "503", "times": "2"}, "times"),
        ({"provider": "hook", "mode": "503", "until": 2}, "until"),
        ({"provider": "nobody", "mode": "503"}, "nobody"),
        ([], "object"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_broken(server: StandIn, body: object, named: str) -> None:
    answer = requests.post(f"http://127.0.0.1:{server.port}/_control/break", json=body, timeout=5)
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert {server.mode(key) for key in server.sides} == {"ok"}


def test_nobody_there_is_said(server: StandIn) -> None:
    server.stop()
    with pytest.raises(StandInAway, match="No stand-ins answer"):
        RemoteStandIn(f"http://127.0.0.1:{server.port}").state()
    server.start()


def _process(*arguments: str, debug: str = "true") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "stand_ins", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "DEBUG": debug},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class _Mails(list[Arrived]):
    """Says when the first one has come."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    def append(self, mail: Arrived) -> None:
        super().append(mail)
        self.came.set()


def test_the_process_hands_mails_on_and_ends_when_told() -> None:
    mails = _Mails()
    with smtp_server(arrived=mails) as catcher:
        child = _process("--port", "0", "--relay", f"127.0.0.1:{catcher.port}")
        assert child.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", child.stdout.readline())
        assert found is not None
        remote = RemoteStandIn(found.group())
        answer = requests.post(
            remote.url("postmark") + "/email",
            json={"From": "a@example.com", "To": "b@example.com", "Subject": "Über", "TextBody": "hello"},
            headers={"X-Postmark-Server-Token": "t"},
            timeout=5,
        )
        assert answer.json()["ErrorCode"] == 0
        assert mails.came.wait(20)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=20)
        assert child.returncode == 0
        (arrived,) = mails
        assert arrived.recipients == ["b@example.com"]
        assert arrived.message["X-CastComm-Stand-In"] == "postmark"
        assert arrived.message["Subject"] == "Über"


def test_a_taken_port_is_named(server: StandIn) -> None:
    child = _process("--port", str(server.port))
    _, complaint = child.communicate(timeout=60)
    assert child.returncode == 1
    assert f"port {server.port}" in complaint
    assert "Traceback" not in complaint


def test_production_has_none() -> None:
    child = _process("--port", "0", debug="false")
    _, complaint = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "development only (DEBUG=1)" in complaint
    assert "Traceback" not in complaint


def test_in_a_procfile_of_production_it_only_waits() -> None:
    child = _process("--port", "0", "--or-wait", debug="false")
    assert child.stdout is not None
    assert "No stand-ins" in child.stdout.readline()
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=20)
    assert child.returncode == 0


def test_the_procfile_s_own_line_ends_nothing_in_production() -> None:
    (line,) = [one for one in (ROOT / "Procfile").read_text().splitlines() if one.startswith("stand-ins:")]
    assert "--or-wait" in line
