"""Circuit breakers, with a real Redis, a real PostgreSQL and several processes."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
import structlog
from django.db import connections
from prometheus_client import REGISTRY

from castcomm.common.clock import now
from notifications.models import ProviderBreaker, WebhookMessage
from notifications.services import breaker_script, breakers, doorbell, shared_scripts
from notifications.services.breakers import Permit, open_by_hand, permit, record, reset, states
from tests.realtime.running import OwnRedis, free_port, own_redis

pytestmark = pytest.mark.django_db(transaction=True)
KEY = "env:breakable"
_fork = multiprocessing.get_context("fork")


@pytest.fixture
def use_redis(settings: Any) -> Iterator[Callable[[str], None]]:
    def use(url: str) -> None:
        settings.REDIS_URL = url
        doorbell.client.cache_clear()
        shared_scripts._silent_until = 0.0

    yield use
    doorbell.client.cache_clear()


def look() -> Permit:
    """The state that a process sees which has not just looked."""
    breakers._of(KEY).permit = None
    return permit(KEY)


def fail(times: int = 1, reason: str = "503: away") -> None:
    for _ in range(times):
        record(KEY, succeeded=0, failed=1, reason=reason)


def let_it_be_over() -> None:
    """Let the time pass for which the breaker is open."""
    name = f"{doorbell.settings.REDIS_PREFIX}:breaker:{KEY}"
    if shared_scripts._silent_until < time.monotonic() and doorbell.client().exists(name):
        doorbell.client().hset(name, "open_until", 1)
    ProviderBreaker.objects.filter(account=KEY).update(open_until=now() - timedelta(seconds=1))


def in_processes(work: Callable[..., Any], arguments: list[Any]) -> list[Any]:
    """``work(argument)`` in a process of its own for each argument, all at once; their answers."""
    connections.close_all()
    doorbell.client.cache_clear()
    ready, answers = _fork.Barrier(len(arguments)), _fork.Queue()

    def run(argument: Any) -> None:
        breakers.forget()
        ready.wait(30)
        answers.put(work(argument))
        answers.close()
        answers.join_thread()

    processes = [_fork.Process(target=run, args=(argument,)) for argument in arguments]
    for process in processes:
        process.start()
    found = [answers.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(10)
    return found


def row() -> ProviderBreaker:
    return ProviderBreaker.objects.get(account=KEY)


def test_an_account_that_nobody_used_is_closed() -> None:
    assert permit(KEY) == Permit("closed")
    assert states()["env:smtp"].state == "closed"
    assert not ProviderBreaker.objects.exists()


def test_five_failures_in_a_row_open_it_and_staff_see_why() -> None:
    fail(4)
    record(KEY, succeeded=1, failed=0, reason="")
    fail(4)
    assert look().state == "closed"
    fail(1, "401: the key was withdrawn")
    found = permit(KEY)
    assert found.state == "open"
    assert 26 < found.retry_in <= 33
    assert (row().state, row().reason, row().failures) == ("open", "401: the key was withdrawn", 5)
    assert states()[KEY].open_until == row().open_until


def test_half_of_twenty_calls_open_it_and_fewer_do_not() -> None:
    for _ in range(4):
        record(KEY, succeeded=2, failed=2, reason="x")
    assert look().state == "closed"  # 16 calls say nothing yet
    record(KEY, succeeded=3, failed=1, reason="x")
    assert look().state == "closed"  # 9 of 20
    record(KEY, succeeded=1, failed=3, reason="x")
    assert look().state == "open"  # 12 of 24


def test_successes_kept_back_count_before_the_failures_that_follow() -> None:
    for _ in range(10):
        record(KEY, succeeded=10, failed=0, reason="")
    for _ in range(2):
        record(KEY, succeeded=5, failed=10, reason="x")
    assert look().state == "closed"  # 20 of 130
    fail(5)
    assert look().state == "open"


def test_one_probe_then_closed_or_open_for_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_script, "JITTER", 0.0)
    fail(5)
    waits = [round(permit(KEY).retry_in)]
    for _ in range(6):
        let_it_be_over()
        assert look().state == "probe"
        assert look().state == "open", "a second probe"
        fail()
        waits.append(round(look().retry_in))
    assert waits == [30, 60, 120, 240, 480, 600, 600]
    let_it_be_over()
    assert look().state == "probe"
    assert row().state == "half_open"
    record(KEY, succeeded=1, failed=0, reason="")
    assert look().state == "closed"
    assert (row().state, row().openings) == ("closed", 0)
    fail(5)
    assert round(look().retry_in) == 30


def test_a_probe_is_given_back_and_one_of_a_dead_worker_is_taken_over() -> None:
    open_by_hand(KEY, seconds=0, reason="test")
    assert look().state == "probe"
    record(KEY, succeeded=0, failed=0, reason="")
    assert look().state == "probe"
    breakers.forget()  # the prober is dead
    assert look().state == "open"
    name = f"{doorbell.settings.REDIS_PREFIX}:breaker:{KEY}"
    doorbell.client().hset(name, "probe_until", 1)
    assert look().state == "probe"


def test_what_comes_late_neither_closes_nor_prolongs() -> None:
    fail(5)
    until = row().open_until
    record(KEY, succeeded=9, failed=0, reason="")
    fail(9)
    assert look().state == "open"
    assert row().open_until == until
    let_it_be_over()
    (probe,) = in_processes(lambda _: look().state, [0])
    assert probe == "probe"
    record(KEY, succeeded=9, failed=0, reason="")  # not the prober's
    assert look().state == "open"


def test_staff_stop_and_reset() -> None:
    open_by_hand(KEY, seconds=3600, reason="Stopped by Kim")
    assert 3590 < look().retry_in <= 3600
    assert (row().state, row().reason) == ("open", "Stopped by Kim")
    reset(KEY)
    assert permit(KEY).state == "closed"
    assert (row().state, row().reason) == ("closed", "")


def test_a_closed_breaker_is_not_asked_for_each_slice() -> None:
    permit(KEY)
    record(KEY, succeeded=1, failed=0, reason="")
    client = doorbell.client()
    before = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    for _ in range(50):
        permit(KEY)
        record(KEY, succeeded=8, failed=0, reason="")
    after = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert after - before < 10  # other tests of this run may use the same server


def test_an_outage_is_one_alert_without_addresses(settings: Any) -> None:
    settings.ALERT_WEBHOOK_URL = "https://alerts.example.com/"
    fail(5, "550: somebody@example.com is not welcome")
    let_it_be_over()
    assert look().state == "probe"
    with structlog.testing.capture_logs() as logs:
        fail(1)
    (alert,) = WebhookMessage.objects.filter(event_type=f"alert.breaker_open.{KEY}")
    assert "somebody@example.com" not in str(alert.payload)
    assert [entry["event"] for entry in logs] == ["breaker.reopened"]


def test_changes_are_counted_for_prometheus() -> None:
    def count(change: str) -> float:
        labels = {"account": KEY, "change": change}
        return REGISTRY.get_sample_value("castcomm_provider_breaker_changes_total", labels) or 0.0

    before = count("opened"), count("closed")
    fail(5)
    let_it_be_over()
    look()
    record(KEY, succeeded=1, failed=0, reason="")
    assert (count("opened"), count("closed")) == (before[0] + 1, before[1] + 1)


# --- Several processes --------------------------------------------------------------------------------


def test_what_opens_in_one_process_is_open_in_all() -> None:
    in_processes(lambda _: fail(2), [0, 1, 2])
    assert in_processes(lambda _: permit(KEY).state, [0, 1, 2]) == ["open"] * 3


def test_exactly_one_of_all_processes_and_threads_probes() -> None:
    open_by_hand(KEY, seconds=0, reason="test")

    def ask(_: int) -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: look_and_close(), range(8)))

    found = [state for states in in_processes(ask, list(range(4))) for state in states]
    assert sorted(found) == ["open"] * 31 + ["probe"]


def look_and_close() -> str:
    try:
        return look().state
    finally:
        connections.close_all()


def test_the_prober_of_another_process_closes_it_for_all() -> None:
    fail(5)
    let_it_be_over()

    def probe(_: int) -> str:
        state = look().state
        record(KEY, succeeded=1, failed=0, reason="")
        return state

    assert in_processes(probe, [0]) == ["probe"]
    assert look().state == "closed"


# --- Without Redis ------------------------------------------------------------------------------------


def test_a_flushed_redis_takes_the_state_over_from_the_row() -> None:
    fail(5)
    waits = look().retry_in
    for key in doorbell.client().scan_iter(f"{doorbell.settings.REDIS_PREFIX}:breaker:*"):
        doorbell.client().delete(key)
    found = look()
    assert found.state == "open"
    assert abs(found.retry_in - waits) < 5
    let_it_be_over()
    assert look().state == "probe"
    for key in doorbell.client().scan_iter(f"{doorbell.settings.REDIS_PREFIX}:breaker:*"):
        doorbell.client().delete(key)
    assert look().state == "open"  # the probe is still out
    fail()
    assert (look().state, row().openings) == ("open", 2)


def use_nobody(use_redis: Callable[[str], None]) -> None:
    use_redis(f"redis://127.0.0.1:{free_port()}/0")


def test_with_nobody_at_the_port_processes_share_the_row(use_redis: Callable[[str], None]) -> None:
    use_nobody(use_redis)
    assert look().state == "closed"
    fail(5)
    found = look()
    assert found.state == "open"
    assert 26 < found.retry_in <= 33
    assert in_processes(lambda _: permit(KEY).state, [0, 1]) == ["open", "open"]
    let_it_be_over()
    assert sorted(in_processes(lambda _: look().state, list(range(6)))) == ["open"] * 5 + ["probe"]
    ProviderBreaker.objects.update(updated_at=now() - timedelta(minutes=2))  # the prober is dead
    assert look().state == "probe"
    fail()
    assert (look().state, row().openings) == ("open", 2)
    let_it_be_over()
    assert look().state == "probe"
    record(KEY, succeeded=1, failed=0, reason="")
    assert (look().state, row().state) == ("closed", "closed")


def test_half_of_twenty_calls_open_it_without_redis(use_redis: Callable[[str], None]) -> None:
    use_nobody(use_redis)
    record(KEY, succeeded=5, failed=5, reason="x")
    assert look().state == "closed"
    record(KEY, succeeded=2, failed=8, reason="x")
    assert look().state == "open"


def test_staff_stop_and_reset_without_redis(use_redis: Callable[[str], None]) -> None:
    use_nobody(use_redis)
    open_by_hand(KEY, seconds=3600, reason="Stopped by Kim")
    assert look().state == "open"
    reset(KEY)
    assert look().state == "closed"


def test_redis_comes_back_with_what_is_old(use_redis: Callable[[str], None]) -> None:
    with own_redis() as server:
        use_redis(server.url)
        record(KEY, succeeded=1, failed=0, reason="")
        assert look().state == "closed"
        server.signal(signal.SIGSTOP)
        fail(6)
        server.signal(signal.SIGCONT)
        assert look().state == "open"
        shared_scripts._silent_until = 0.0
        assert look().state == "open"
        assert _state_in(server) == b"open"


def test_a_redis_that_hangs_holds_nobody(use_redis: Callable[[str], None]) -> None:
    with own_redis() as server:
        use_redis(server.url)
        assert look().state == "closed"
        sleeper = redis.Redis.from_url(server.url, socket_timeout=30)
        with ThreadPoolExecutor(1) as pool:
            asleep = pool.submit(sleeper.execute_command, "DEBUG", "SLEEP", "3")
            while redis_answers(server):
                pass
            for _ in range(20):
                assert look().state == "closed"
                fail(1)
                record(KEY, succeeded=3, failed=0, reason="")
            assert not asleep.done(), "they waited until Redis was back"
            asleep.result()


def redis_answers(server: OwnRedis) -> bool:
    with redis.Redis.from_url(server.url, socket_timeout=0.1, retry=None) as client:
        try:
            return bool(client.ping())
        except redis.TimeoutError:
            return False


def _state_in(server: OwnRedis) -> Any:
    name = f"{doorbell.settings.REDIS_PREFIX}:breaker:{KEY}"
    return redis.Redis.from_url(server.url).hget(name, "state")
