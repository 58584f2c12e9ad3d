"""Redis forgets everything in the middle of two thousand mails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.notifications.smtp_server import smtp_server
from tests.realtime.running import own_redis

from .conftest import MAILS, all_settled, outcome
from .processes import installation

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.django_db(transaction=True)]


def test_every_mail_arrives_once(accept_mails: Callable[..., None], tmp_path: Path) -> None:
    accept_mails()
    with smtp_server() as server, own_redis() as forgetful:
        options = {"smtp_port": server.port, "log": tmp_path / "log"}
        with installation(redis_url=forgetful.url, redis_prefix="faults", **options) as running:
            running.start_beat()
            running.start_worker()
            running.wait_until(lambda: len(server.arrived) >= MAILS / 4)
            redis.Redis.from_url(forgetful.url).flushall()
            assert not all_settled(), "it was over before it was flushed"
            seconds = running.wait_until(all_settled)
        found = outcome(server, seconds)
    found.show("FLUSHALL of Redis")
    assert found.arrived == found.accepted == MAILS
    assert (found.duplicates, found.unknown, found.other) == (0, 0, 0)
