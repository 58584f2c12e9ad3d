"""Lines for the person at the terminal."""

from __future__ import annotations

import os
import sys

_BOLD, _RED, _PLAIN = "\033[1m", "\033[31m", "\033[0m"


def colours() -> bool:
    """True when the terminal shows colours and nobody asked for none (https://no-color.org)."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def say(text: str, *, bold: bool = False) -> None:
    """Print one progress line or block."""
    _write(sys.stdout, f"{_BOLD}{text}{_PLAIN}" if bold and colours() else text)


def complain(text: str) -> None:
    """Print an error."""
    _write(sys.stderr, f"{_RED}{text}{_PLAIN}" if sys.stderr.isatty() and colours() else text)


def _write(stream: object, text: str) -> None:
    try:
        print(text, file=stream, flush=True)  # type: ignore[call-overload]
    except OSError:
        # The terminal is gone. What is being said matters less than the shutdown that goes on.
        devnull = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(devnull, number)
        os.close(devnull)
