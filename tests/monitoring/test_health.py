"""Health and readiness tell the truth, quickly, also when PostgreSQL or Redis hang."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from castcomm.monitoring import health


@pytest.fixture
def frozen_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No test sees what another one's probes found."""
    health._shared.forget()
    yield
    health._shared.forget()


def ask(path: str) -> tuple[int, dict[str, Any], float]:
    started = time.monotonic()
    answer = Client().get(path)
    return answer.status_code, json.loads(answer.content), time.monotonic() - started


pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/", "/health/ready/"])
def test_all_is_well(path: str) -> None:
    status, said, _ = ask(path)
    assert status == 200
    assert said["status"] == "healthy"
    assert said["timestamp"].endswith("Z")
    assert set(said["services"]) == {"database", "migrations", "redis"}
    assert all(service["status"] == "up" for service in said["services"].values())
    assert all(service["latency_ms"] >= 0 for service in said["services"].values())


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://127.0.0.1:{port}/0"])
def test_without_redis_the_process_lives_and_is_not_ready(settings: Any, frozen_port: int, url: str) -> None:
    settings.REDIS_URL = url.format(port=frozen_port)
    status, said, _ = ask("/health")
    assert status == 200
    assert said["status"] == "degraded"
    health._shared.forget()
    status, said, elapsed = ask("/health/ready")
    assert status == 503
    assert said["services"]["redis"]["status"] == "down"
    assert said["services"]["database"]["status"] == "up"
    assert elapsed < health.PROBE_SECONDS + 1


def test_a_database_that_hangs_is_answered_in_time(frozen_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", frozen_port)
    status, said, elapsed = ask("/health/ready")
    assert status == 503
    assert said["services"]["database"]["status"] == "down"
    assert said["services"]["redis"]["status"] == "up"
    assert elapsed < health.PROBE_SECONDS + 1


def test_a_database_that_is_gone_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", 1)
    status, said, _ = ask("/health/ready")
    assert status == 503
    assert said["services"]["database"] == {
        "status": "down",
        "latency_ms": said["services"]["database"]["latency_ms"],
        "detail": "OperationalError",
    }


def test_code_that_is_ahead_of_its_database_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = health._known_migrations() | {("accounts", "9999_from_the_future")}
    monkeypatch.setattr(health, "_known_migrations", lambda: ahead)
    status, said, _ = ask("/health/ready")
    assert status == 503
    assert said["services"]["migrations"]["detail"] == "1 migrations are not applied"


def test_only_reading_is_allowed() -> None:
    assert Client().post("/health").status_code == 405
    assert Client().get("/health")["Cache-Control"].startswith("max-age=0")


def test_metrics_are_for_the_machine_itself() -> None:
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    assert b"django_http_requests_total" in answer.content
    assert Client(REMOTE_ADDR="203.0.113.5").get("/metrics").status_code == 403


def test_a_proxy_on_the_same_machine_opens_nothing() -> None:
    assert Client().get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403


def test_metrics_open_for_a_network_and_for_a_token(settings: Any) -> None:
    outside = Client(REMOTE_ADDR="10.1.2.3")
    assert outside.get("/metrics").status_code == 403
    settings.METRICS_ALLOWED_IPS = ["10.0.0.0/8"]
    assert outside.get("/metrics").status_code == 200
    settings.METRICS_ALLOWED_IPS = []
    settings.METRICS_TOKEN = "a-token-of-some-length"
    right, wrong = ({"Authorization": f"Bearer {token}"} for token in (settings.METRICS_TOKEN, "another"))
    assert outside.get("/metrics", headers=right).status_code == 200
    assert outside.get("/metrics", headers=wrong).status_code == 403
    settings.METRICS_TOKEN = ""
    assert outside.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403


def test_a_crowd_makes_the_probes_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def look() -> dict[str, health.ServiceState]:
        looks.append(time.monotonic())
        time.sleep(0.2)
        return {"database": health.ServiceState("up", 1.0)}

    shared = health._Shared(look)
    monkeypatch.setattr(health, "_shared", shared)
    with ThreadPoolExecutor(40) as crowd:
        asked = [crowd.submit(ask, path) for path in ("/health", "/health/ready") * 20]
        assert {future.result()[0] for future in asked} == {200}
    assert len(looks) == 1
    assert max(future.result()[2] for future in asked) < health.PROBE_SECONDS
    shared._ended -= health.FRESH_SECONDS
    ask("/health")
    assert len(looks) == 2


def test_a_look_that_fails_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[RuntimeError | dict[str, health.ServiceState]] = iter([RuntimeError("no threads"), {}])

    def look() -> dict[str, health.ServiceState]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = health._Shared(look)
    with pytest.raises(RuntimeError):
        shared()
    assert shared() == {}
