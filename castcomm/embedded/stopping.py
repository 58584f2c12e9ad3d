"""Signals, turned into a question that is asked at moments when it is safe to stop."""

from __future__ import annotations

import signal
import subprocess
import time
from types import FrameType

from castcomm.embedded.errors import StopRequested

_ASKS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopWatch:
    """Remembers the first of SIGINT, SIGTERM and SIGHUP.

    An exception thrown from a signal handler could leave a server running that nobody knows of; here only
    ``check``, ``pause`` and ``wait_for`` raise.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def install(self) -> None:
        for number in _ASKS:
            # "nohup bin/run" wants to outlive its terminal.
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number

    def check(self) -> None:
        """Raises StopRequested once a signal has come."""
        if self.received is not None:
            raise StopRequested(self.received)

    def pause(self, seconds: float) -> None:
        """Sleep, but not past a signal."""
        deadline = time.monotonic() + seconds
        self.check()
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
            self.check()

    def wait_for(self, child: subprocess.Popen[str] | subprocess.Popen[bytes]) -> int:
        """The exit status of ``child``; raises StopRequested when a signal comes first."""
        while True:
            try:
                return child.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                self.check()
