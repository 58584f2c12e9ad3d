"""How a provider misbehaves, and for how many calls."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SLOW_SECONDS = 0.2


class Mode(StrEnum):
    OK = "ok"
    RATE_LIMITED = "429"
    UNAVAILABLE = "503"
    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    SERVER_ERROR = "500"
    HANG = "hang"
    RESET = "reset"
    REFUSE = "refuse"
    SLOW = "slow"
    NOT_FOUND = "404"
    CONFLICT = "409"
    GONE = "410"


# Only providers that name them in ``FarSide.modes`` have these.
SPECIAL = frozenset({Mode.NOT_FOUND, Mode.CONFLICT, Mode.GONE})
# After these nobody knows what became of the message, so the stand-in assumes the worst: it was taken.
TAKES_ALL_THE_SAME = frozenset({Mode.HANG, Mode.RESET})
STATUSES = {
    Mode.RATE_LIMITED: 429,
    Mode.UNAVAILABLE: 503,
    Mode.BAD_REQUEST: 400,
    Mode.UNAUTHORIZED: 401,
    Mode.SERVER_ERROR: 500,
    Mode.NOT_FOUND: 404,
    Mode.CONFLICT: 409,
    Mode.GONE: 410,
}


@dataclass(slots=True)
class Fault:
    """``times`` calls are hit by it, None for all; ``retry_after`` and ``seconds`` (of ``slow``) are in seconds.

    ``takes``: whether the provider accepts the message although it does not say so.
    """

    mode: Mode
    retry_after: float | None = None
    times: int | None = None
    seconds: float = SLOW_SECONDS
    takes: bool = False

    def use(self) -> bool:
        """Whether this call is hit; counts it."""
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


def fault(
    *,
    mode: str,
    retry_after: float | None = None,
    times: int | None = None,
    seconds: float = SLOW_SECONDS,
    takes: bool | None = None,
) -> Fault:
    """A fault of a mode's name; raises ValueError for an unknown mode or a number below zero."""
    if mode not in [*Mode]:
        raise ValueError(f"mode is {mode!r}; known are {', '.join(Mode)}")
    for name, number in (("retry_after", retry_after), ("times", times), ("seconds", seconds)):
        if number is not None and number < 0:
            raise ValueError(f"{name} is {number}; it must not be below zero")
    chosen = Mode(mode)
    return Fault(
        chosen, retry_after, times, seconds, chosen in TAKES_ALL_THE_SAME if takes is None else takes
    )
