"""bin/run on real processes: what it says, what it refuses, and that nothing survives it."""

from __future__ import annotations

import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from castcomm.embedded.environment import lasting_secrets
from castcomm.embedded.places import find_places
from tests.embedded.conftest import Miniature


def test_says_where_everything_is_and_stops_on_ctrl_c(miniature: Miniature) -> None:
    child, said = miniature.start_and_wait()
    assert f"http://localhost:{miniature.port}/admin/" in said
    assert "http://localhost:" in said.partition("Mail")[2]
    assert "demo on postgres" in said
    assert "\033[" not in said, "no colours where no terminal is"
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=40)
    assert child.returncode == 0
    assert "Stopped." in output
    assert miniature.processes() == []


def test_a_lost_terminal_does_not_hold_up_the_end(miniature: Miniature) -> None:
    child, _ = miniature.start_and_wait()
    assert child.stdout is not None
    child.stdout.close()
    child.send_signal(signal.SIGHUP)
    assert child.wait(timeout=40) == 128 + signal.SIGHUP
    assert miniature.processes() == []


def test_the_servers_die_with_a_killed_run_and_the_next_run_ends_the_rest(miniature: Miniature) -> None:
    with (miniature.folder / "Procfile").open("a") as procfile:
        procfile.write('stubborn: trap "" TERM; while true; do sleep 1; done\n')
    child, _ = miniature.start_and_wait()
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=40)
    again, said = miniature.start_and_wait()
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=40)
    assert "is ready" in said
    miniature.wait_until_empty()


def test_beside_a_run_others_find_it(miniature: Miniature) -> None:
    (miniature.folder / "manage.py").write_text(
        "from os import environ as e\nprint(e['DATABASE_URL'], e['SMTP_PORT'], e['DEMO_TIME_SCALE'])\n"
    )
    child, said = miniature.start_and_wait()
    second = miniature.call("run", PORT=str(miniature.port + 1))
    assert second.returncode == 1
    assert "already runs in this checkout" in second.stderr
    assert f"http://localhost:{miniature.port}/" in second.stderr
    assert f"kill {child.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    manage = miniature.call("manage", "anything")
    assert manage.stdout.strip() in said
    assert manage.stdout.strip().endswith(" 2880")
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=40)
    assert child.returncode == 128 + signal.SIGTERM
    without = miniature.call("manage", "anything")
    assert without.returncode == 1
    assert "Start everything with bin/run" in without.stderr


def test_a_taken_port_is_named_with_another_that_is_free(miniature: Miniature) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = miniature.call("run", PORT=str(port))
    assert refused.returncode == 1
    assert f"Port {port} is taken" in refused.stderr
    assert f"(process {os.getpid()})" in refused.stderr
    assert "PORT=" in refused.stderr.splitlines()[-1]
    assert miniature.processes() == []


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(miniature: Miniature, port: str) -> None:
    refused = miniature.call("run", PORT=port)
    assert refused.returncode == 1
    assert "must be a number from 1 to 65535" in refused.stderr


def test_a_failing_migration_is_shown_and_stops_the_servers(miniature: Miniature) -> None:
    (miniature.folder / "manage.py").write_text('raise SystemExit("column castle does not exist")')
    refused = miniature.call("run")
    assert refused.returncode == 1
    assert "column castle does not exist" in refused.stderr
    assert "manage.py migrate --no-input failed" in refused.stderr
    assert miniature.processes() == []


def test_when_one_process_ends_all_end(miniature: Miniature) -> None:
    (miniature.folder / ".env").write_text("SMTP_HOST=smtp.example.com\n")
    (miniature.folder / "Procfile").write_text(
        "web: exec python web.py\nworker: echo ready. && sleep 2\nmail: exec sleep 1000\n"
    )
    child, said = miniature.start_and_wait()
    output, _ = child.communicate(timeout=40)
    assert child.returncode == 1
    assert "A process ended" in output
    assert "Mail " not in said, "with an SMTP_HOST of one's own there is no catcher"
    assert miniature.processes() == []


def test_secrets_are_made_once_and_read_by_the_owner_only(tmp_path: Path) -> None:
    made = lasting_secrets(tmp_path, {"SECRET_KEY": "mine"})
    assert set(made) == {"FIELD_ENCRYPTION_KEYS", "BLIND_INDEX_KEY", "JWT_PRIVATE_KEY"}
    again = lasting_secrets(tmp_path, {})
    assert again.items() > made.items()
    assert len(again["SECRET_KEY"]) >= 50
    assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600


def test_a_configured_server_is_not_started(miniature: Miniature) -> None:
    (miniature.folder / "manage.py").write_text("raise SystemExit(1)")
    said = miniature.call("run", DATABASE_URL="postgres://someone@db.example.com/castcomm").stdout
    assert "Starting Redis in" in said
    assert not (find_places(miniature.folder).home / "postgres").exists()


def test_arguments_of_the_tests_and_of_manage_are_passed_on(miniature: Miniature) -> None:
    (miniature.folder / "manage.py").write_text("import sys\nprint(sys.argv[1:])\n")
    answer = miniature.call("manage", "-k", "--help", DATABASE_URL="postgres://db/x", REDIS_URL="redis://r")
    assert answer.stdout == "['-k', '--help']\n"


def test_log_lines_of_the_demo_are_not_announced(miniature: Miniature) -> None:
    (miniature.folder / "manage.py").write_text(
        "import sys\nprint('Sign in as somebody', sys.argv[1])\nprint('a line of the log', file=sys.stderr)\n"
    )
    child, said = miniature.start_and_wait()
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=40)
    assert "Sign in as somebody demo" in said
    assert "a line of the log" not in said
    assert (miniature.folder / "var/log/manage.log").read_text().count("a line of the log") == 2
