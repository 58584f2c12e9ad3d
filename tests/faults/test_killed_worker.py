"""kill -9 in the middle of two thousand mails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from tests.notifications.smtp_server import smtp_server

from .conftest import MAILS, Outcome, all_settled, outcome
from .processes import installation

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.django_db(transaction=True)]


def kill_in_the_middle(folder: Path) -> Outcome:
    # A server that takes a moment for each mail, so that the worker dies with some on their way.
    with smtp_server(hang=0.02) as server:
        options = {"smtp_port": server.port, "log": folder / "log", "DELIVERY_LEASE_SECONDS": "3"}
        with installation(
            redis_url=settings.REDIS_URL, redis_prefix=settings.REDIS_PREFIX, **options
        ) as running:
            running.start_beat()
            worker = running.start_worker()
            running.wait_until(lambda: len(server.arrived) >= MAILS / 4)
            running.kill(worker)
            assert not all_settled(), "it was over before it was killed"
            running.start_worker()
            seconds = running.wait_until(all_settled)
        return outcome(server, seconds)


def test_every_mail_arrives_but_those_of_which_nobody_knows(
    accept_mails: Callable[..., None], tmp_path: Path
) -> None:
    """One slice was on its way; it is parked, because twice would be worse than late."""
    accept_mails()
    found = kill_in_the_middle(tmp_path)
    found.show("kill -9 of the worker")
    assert (found.accepted, found.other, found.duplicates) == (MAILS, 0, 0)
    assert found.unknown <= settings.EMAIL_QUEUE_CONCURRENT
    assert found.arrived >= MAILS - found.unknown


def test_what_may_come_twice_arrives_all(accept_mails: Callable[..., None], tmp_path: Path) -> None:
    accept_mails(duplicates_allowed=True)
    found = kill_in_the_middle(tmp_path)
    found.show("kill -9, duplicates allowed")
    assert (found.accepted, found.arrived, found.unknown, found.other) == (MAILS, MAILS, 0, 0)
    assert found.duplicates <= settings.EMAIL_QUEUE_CONCURRENT
