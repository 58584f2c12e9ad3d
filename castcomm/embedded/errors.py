"""What can go wrong before CastComm itself runs. Every message says what to do."""

from __future__ import annotations


class EmbeddedError(Exception):
    """A person has to act; the message is shown as it is, without a traceback."""


class StopRequested(Exception):
    """SIGINT, SIGTERM or SIGHUP asked this process to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"signal {signal_number}")
        self.signal_number = signal_number
