"""Limits on sending, with a real Redis and several processes."""

from __future__ import annotations

import multiprocessing
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from notifications.providers.base import Account
from notifications.services import doorbell, rate_limits, shared_scripts
from notifications.services.rate_limits import Grant, give_back, take, take_for_people, waits_of_people
from tests.realtime.running import free_port

ORGANIZATION = uuid.uuid4()
_fork = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def _know_nothing() -> Iterator[None]:
    shared_scripts._silent_until = 0.0
    rate_limits._local.clear()
    yield
    shared_scripts._silent_until = 0.0
    rate_limits._local.clear()
    rate_limits._limited.clear()


@pytest.fixture
def no_redis(settings: Any) -> Iterator[None]:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    doorbell.client.cache_clear()
    yield
    doorbell.client.cache_clear()


def account(**limits: int) -> Account:
    return Account(key="env:limited", provider="smtp", channel="email", **limits)


def ask(given: Account, wanted: int, *, per_minute: int | None = None) -> Grant:
    return take(given, organization_id=ORGANIZATION, sends_per_minute=per_minute, wanted=wanted)


def let_pass(seconds: int, window: int) -> None:
    """Let all that was counted in windows of this length be older by so much."""
    client = doorbell.client()
    step = window / rate_limits.STEPS
    for key in client.scan_iter(f"{doorbell.settings.REDIS_PREFIX}:limit:*:{window}"):
        counted = client.hgetall(key)
        client.delete(key)
        client.hset(key, mapping={int(int(slot) - seconds / step): n for slot, n in counted.items()})


def test_an_account_gives_what_is_left_of_its_limit() -> None:
    limited = account(per_minute=10)
    assert ask(limited, 4) == Grant(4)
    first = ask(limited, 8)
    assert first.granted == 6
    assert 55 < first.retry_in <= 62
    assert ask(limited, 1).granted == 0
    let_pass(30, rate_limits.MINUTE)
    assert 25 < ask(limited, 1).retry_in <= 32
    let_pass(32, rate_limits.MINUTE)
    assert ask(limited, 10) == Grant(10)


def test_no_sixty_seconds_see_more_than_the_limit() -> None:
    limited = account(per_minute=10)
    ask(limited, 5)
    let_pass(40, rate_limits.MINUTE)
    ask(limited, 5)
    let_pass(24, rate_limits.MINUTE)  # the first five are over, the others are not
    assert ask(limited, 10).granted == 5


def test_the_narrowest_limit_counts_and_says_how_long() -> None:
    limited = account(per_minute=100, per_hour=20, per_day=10)
    assert ask(limited, 50).granted == 10
    assert 80_000 < ask(limited, 1).retry_in <= 90_000
    let_pass(90_000, rate_limits.DAY)
    assert ask(limited, 50).granted == 10
    found = ask(limited, 1)
    let_pass(90_000, rate_limits.DAY)
    found = ask(limited, 1)
    assert found.granted == 0
    assert 3_400 < found.retry_in <= 3_720


def test_an_organization_has_its_own_limit_through_any_account() -> None:
    one, other = account(), Account(key="env:other", provider="smtp", channel="email")
    assert ask(one, 7, per_minute=10).granted == 7
    assert ask(other, 7, per_minute=10).granted == 3
    sms = Account(key="env:sms", provider="console", channel="sms")
    assert ask(sms, 7, per_minute=10).granted == 7
    assert take(other, organization_id=uuid.uuid4(), sends_per_minute=10, wanted=7).granted == 7


def test_what_was_not_used_is_given_back() -> None:
    limited = account(per_minute=10, per_hour=10)
    ask(limited, 10, per_minute=10)
    give_back(limited, ORGANIZATION, 4)
    assert ask(limited, 10, per_minute=10).granted == 4
    give_back(limited, ORGANIZATION, 100)
    assert ask(limited, 11, per_minute=10).granted == 10


def test_without_a_limit_redis_is_not_asked(no_redis: None) -> None:
    assert ask(account(), 1_000) == Grant(1_000)
    give_back(account(), ORGANIZATION, 10)
    assert take_for_people("email", [uuid.uuid4(), None]) == {}
    assert shared_scripts._silent_until == 0.0


def test_eight_processes_with_threads_take_exactly_the_limit() -> None:
    limited = account(per_minute=1_000)
    doorbell.client.cache_clear()
    ready, answers = _fork.Barrier(8), _fork.Queue()

    def run() -> None:
        ready.wait(30)
        with ThreadPoolExecutor(4) as pool:
            answers.put(sum(pool.map(lambda _: ask(limited, 7).granted, range(40))))
        answers.close()
        answers.join_thread()

    processes = [_fork.Process(target=run) for _ in range(8)]
    for process in processes:
        process.start()
    granted = [answers.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(10)
    assert sum(granted) == 1_000


# --- People -------------------------------------------------------------------------------------------


def test_people_have_limits_per_channel(settings: Any) -> None:
    settings.USER_RATE_LIMIT_MINUTE, settings.USER_RATE_LIMIT_HOUR = 2, 3
    kim, lou = uuid.uuid4(), uuid.uuid4()
    assert take_for_people("email", [kim, lou, None]) == {}
    assert take_for_people("email", [kim]) == {}
    over = take_for_people("email", [kim, lou])
    assert list(over) == [kim]
    assert 55 < over[kim] <= 62
    assert take_for_people("sms", [kim]) == {}
    let_pass(70, rate_limits.MINUTE)
    assert take_for_people("email", [kim]) == {}
    assert 3_400 < take_for_people("email", [kim])[kim] <= 3_720


def test_somebody_named_several_times_gets_what_is_left(settings: Any) -> None:
    settings.USER_RATE_LIMIT_MINUTE = 2
    kim, lou = uuid.uuid4(), uuid.uuid4()
    waits = waits_of_people("email", [kim, lou, kim, None, kim, kim])
    assert [wait > 0 for wait in waits] == [False, False, False, False, True, True]


# --- Without Redis ------------------------------------------------------------------------------------


def test_without_redis_each_process_keeps_to_its_share(no_redis: None) -> None:
    limited = account(per_minute=80, per_hour=8_000)
    assert ask(limited, 7).granted == 7
    found = ask(limited, 7)
    assert found.granted == 3
    assert 55 < found.retry_in <= 62
    give_back(limited, ORGANIZATION, 2)
    assert ask(limited, 7).granted == 2
    assert ask(account(per_minute=1), 5).granted == 0


def test_without_redis_people_keep_their_limit(no_redis: None, settings: Any) -> None:
    settings.USER_RATE_LIMIT_MINUTE = 2
    kim = uuid.uuid4()
    assert take_for_people("email", [kim]) == {}
    assert take_for_people("email", [kim]) == {}
    assert list(take_for_people("email", [kim])) == [kim]


def test_when_redis_is_back_it_counts_again(settings: Any) -> None:
    url, limited = settings.REDIS_URL, account(per_minute=80)
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    doorbell.client.cache_clear()
    assert ask(limited, 80).granted == 10
    settings.REDIS_URL = url
    doorbell.client.cache_clear()
    assert ask(limited, 80).granted == 0, "it was tried again at once"
    shared_scripts._silent_until = 0.0
    assert ask(limited, 80).granted == 80
