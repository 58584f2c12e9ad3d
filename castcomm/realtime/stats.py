"""Counters of this process, for /metrics and the status page."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counters:
    """Totals since the process started."""

    accepted: int = 0
    received: int = 0
    delivered: int = 0
    published: int = 0
    publish_failed: int = 0
    dropped: int = 0
    closed_slow: int = 0
    closed_rate: int = 0
    refused: int = 0
    resyncs: int = 0
    redis_connects: int = 0


@dataclass(slots=True)
class Gauges:
    """What is there now; the hub keeps them."""

    connections: int = 0
    users: int = 0
    topics: int = 0
    redis_connected: bool = False


counters = Counters()
gauges = Gauges()


def snapshot() -> dict[str, int | bool]:
    """Gauges (connections, users, topics, redis_connected) and counters of this process."""
    return {**asdict(gauges), **asdict(counters)}
