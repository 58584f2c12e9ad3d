"""A worker process that kills itself, as ``kill -9`` would, in the middle of a step.

``before`` and ``after``: the N-th send, before or after it is decided. ``commit``: at the end of the transaction of
the N-th send, when all rows are written. ``poison``: whenever the execution's data says so. ``never``: it lives.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess

from django.db import connections

from castcomm.common.clock import SystemClock
from workflows.engine.live import MembersReader, NotificationEffects
from workflows.engine.ports import Send, Sent
from workflows.engine.runner import Engine

_fork = multiprocessing.get_context("fork")


class Deadly(NotificationEffects):
    """Effects that really send, until they pull the plug."""

    def __init__(self, when: str, left: int) -> None:
        super().__init__()
        self.when = when
        self.left = left

    def send(self, wanted: Send) -> Sent:
        self.left -= 1
        if self.when == "poison" and wanted.data.get("poison"):
            self.die()
        if self.when == "before" and self.left == 0:
            self.die()
        sent = super().send(wanted)
        if self.when == "after" and self.left == 0:
            self.die()
        return sent

    def finish(self) -> None:
        super().finish()
        if self.when == "commit" and self.left <= 0:
            self.die()

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def start_worker(when: str, left: int = 0) -> BaseProcess:
    """A process of its own that runs what is due."""
    # A connection must not be shared with the child; both open their own.
    connections.close_all()
    process = _fork.Process(target=_run, args=(when, left))
    process.start()
    return process


def _run(when: str, left: int) -> None:
    Engine(clock=SystemClock(), people=MembersReader(), effects=Deadly(when, left), batch=5).run_due(
        budget=30
    )


def finish(process: BaseProcess) -> int:
    """Wait for the process; its exit code, negative for a signal."""
    process.join(timeout=60)
    assert process.exitcode is not None
    return process.exitcode
