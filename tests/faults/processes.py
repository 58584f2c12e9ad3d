"""Real worker processes, on the test's own database and its own corner of Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 90.0  # seconds; generous, because machines that test are busy
# What Beat does, without its start: it asks for a sweep again and again.
_BEAT = """
import os, time
from castcomm.celery import app
while True:
    try:
        app.send_task("notifications.tasks.sweep", queue="urgent", retry=False)
    except Exception as error:
        print("beat:", error, flush=True)
    time.sleep(0.5)
"""


class Installation:
    """The processes of one installation: started, killed and started again."""

    def __init__(self, *, redis_url: str, redis_prefix: str, smtp_port: int, log: Path, **more: str) -> None:
        self.log = log
        database = urlsplit(os.environ["DATABASE_URL"])
        self.environment = {
            **os.environ,
            "DATABASE_URL": urlunsplit(database._replace(path="/" + connection.settings_dict["NAME"])),
            "REDIS_URL": redis_url,
            "REDIS_PREFIX": redis_prefix,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp_port),
            "EMAIL_FROM": "castcomm@example.com",
            **more,
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def start_beat(self) -> subprocess.Popen[bytes]:
        return self._start(sys.executable, "-c", _BEAT)

    def start_worker(self) -> subprocess.Popen[bytes]:
        """One worker process for every queue, in a process group of its own."""
        return self._start(
            sys.executable, "-m", "celery", "--quiet", "-A", "castcomm", "worker", "-n", f"w{len(self._running)}@%h",
            "-Q", "urgent,high,normal,low,maintenance", "--concurrency", "1",
            "--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel", "WARNING",
        )  # fmt: skip

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self._running.append(process)
        return process

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """kill -9 of the whole process group: nobody says goodbye."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        for process in self._running:
            if process.poll() is None:
                self.kill(process)

    def wait_until(self, condition: Callable[[], object]) -> float:
        """Seconds until ``condition`` holds; fails after PATIENCE with what the processes said."""
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > PATIENCE:
                said = self.log.read_text(errors="replace")[-3000:]
                raise AssertionError(f"It did not come true within {PATIENCE:.0f} s.\n{said}")
            time.sleep(0.05)
        return time.monotonic() - started


@contextmanager
def installation(**options: Any) -> Iterator[Installation]:
    """Processes that are gone afterwards."""
    made = Installation(**options)
    try:
        yield made
    finally:
        made.stop()
