"""Redis is a doorbell: without it everything is accepted as quickly, and still goes out."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from celery import Celery
from django.db import transaction

from accounts.models import User
from castcomm.common.clock import now
from castcomm.realtime import hub
from notifications.models import Delivery, EventType, Notification
from notifications.services import dispatch, doorbell, outbox
from notifications.services.sending import SendResult
from tests.realtime.running import OwnRedis, free_port, own_redis

from .conftest import states
from .smtp_server import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
Send = Callable[..., SendResult]


@pytest.fixture
def use_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let the bell of this process hang at another Redis."""

    def use(url: str) -> None:
        settings.REDIS_URL = url
        doorbell.client.cache_clear()
        elsewhere = Celery("elsewhere", set_as_current=False)
        elsewhere.config_from_object("django.conf:settings", namespace="CELERY")
        elsewhere.conf.broker_url = url
        monkeypatch.setattr(doorbell, "app", elsewhere)
        monkeypatch.setattr(hub._process, "_publisher", None)

    yield use
    doorbell.client.cache_clear()


def send_in_time(send: Send, member: User) -> float:
    started = time.monotonic()
    with transaction.atomic():
        send(member)
    return time.monotonic() - started


def test_with_nobody_at_the_port(
    send: Send, news: EventType, member: User, mail: SmtpServer, use_redis: Callable[[str], None]
) -> None:
    use_redis(f"redis://127.0.0.1:{free_port()}/0")
    assert send_in_time(send, member) < 2
    assert Notification.objects.count() == 1
    dispatch.sweep()
    assert dispatch.drain("email", 2) == 1
    assert len(mail.arrived) == 1


def test_with_a_frozen_redis(
    send: Send, news: EventType, member: User, mail: SmtpServer, use_redis: Callable[[str], None]
) -> None:
    with own_redis() as frozen:
        use_redis(frozen.url)
        send(member)
        frozen.signal(signal.SIGSTOP)
        assert send_in_time(send, member) < 2
        # Who was held up once does not try again at once.
        started = time.monotonic()
        for _ in range(5):
            send(member)
        assert time.monotonic() - started < 2
        started = time.monotonic()
        assert dispatch.drain("email", 2) == 7
        assert time.monotonic() - started < 5
        assert len(mail.arrived) == 7
        frozen.signal(signal.SIGCONT)


def test_when_it_is_back_the_bell_rings_again(
    send: Send, news: EventType, member: User, use_redis: Callable[[str], None]
) -> None:
    port = free_port()
    use_redis(f"redis://127.0.0.1:{port}/0")
    send(member)
    assert doorbell._silent_until > time.monotonic()
    with own_redis() as server:
        server.stop()
        server.port = port
        server.start()
        doorbell._silent_until = 0.0
        dispatch.sweep()
        assert _queued(server) == 1
        dispatch.sweep()
        assert _queued(server) == 1  # the first still waits to be heard
        doorbell.heard("email:normal")
        dispatch.sweep()
        assert _queued(server) == 2


def _queued(server: OwnRedis) -> int:
    client = redis.Redis.from_url(server.url)
    return sum(client.llen(key) for key in client.scan_iter("*normal") if client.type(key) == b"list")


def test_what_nobody_rang_for_is_found(send: Send, news: EventType, member: User) -> None:
    send(member)
    assert outbox.due_pairs(["email"], now=now()) == [("email", 2)]
    assert states()["email"] == ("pending", "default")
    assert Delivery.objects.filter(channel="email", lease_until=None).count() == 1
