"""Two Beats ring two workers for every job at once, and one worker is killed: all is done, and all of it once."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connections
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.schedules import write_schedules
from notifications import tasks
from notifications.models import Inbox, LifecycleJob, Notification, NotificationRequest, RetentionPolicy
from notifications.services import inbox_lifecycle, retention
from notifications.services.lifecycle import run_job
from notifications.services.retention_periods import first_id_at
from tests.faults.processes import Installation, installation

from .conftest import ago

pytestmark = pytest.mark.django_db(transaction=True)
_fork = multiprocessing.get_context("fork")
JOBS = ("Inbox: unsnooze", "Inbox: expire", "Inbox: archive", "Retention: delete")
EACH = 60  # rows per job


@pytest.fixture
def _rows(organization: Organization, member: User, staff: User, arrive: Callable[..., Notification]) -> None:
    """Of two people: rows that come back, that expire, that are old enough for the archive and for deletion."""
    RetentionPolicy.objects.create(
        organization=organization, archive_read_after=30, keep_notifications=300, keep_archived=None
    )
    pattern = arrive(member)
    for state, back, fields in (
        ("snoozed", 1, {"snoozed_until": ago(minutes=1)}),
        ("expired", 1, {"expires_at": ago(minutes=1)}),
        ("read", 60, {"read_at": ago(days=50)}),
        ("old", 400, {"created_at": ago(days=400)}),
    ):
        _copies(pattern, state, (member, staff), days=back, **fields)


def _copies(
    pattern: Notification, title: str, people: tuple[User, ...], *, days: float, **fields: Any
) -> None:
    seqs = {
        user.id: Inbox.objects.get_or_create(organization=pattern.organization, user=user)[0]
        for user in people
    }
    rows = []
    for number in range(EACH):
        user = people[number % len(people)]
        seqs[user.id].last_seq += 1
        id_ = type(pattern.id)(int=first_id_at(ago(days=days)).int + number)
        request = NotificationRequest.objects.create(
            id=type(pattern.id)(int=id_.int + 2**40), organization=pattern.organization,
            event_type=pattern.event_type, source="python", priority=2, recipient_count=1,
            created_at=ago(days=days),
        )  # fmt: skip
        given = {"created_at": ago(days=days), **fields}
        rows.append(
            Notification(
                id=id_,
                organization=pattern.organization,
                request=request,
                event_type=pattern.event_type,
                user=user,
                priority=2,
                title=title,
                inbox_seq=seqs[user.id].last_seq,
                **given,
            )
        )
    Notification.objects.bulk_create(rows)
    for row in seqs.values():
        row.save()


def check_all_is_done(heads: dict[Any, int]) -> None:
    rows = Notification.objects.all()
    assert not rows.filter(title="old").exists()
    assert NotificationRequest.objects.count() == rows.count() == 1 + 3 * EACH
    assert rows.filter(title="snoozed", snoozed_until=None, archived_at=None, read_at=None).count() == EACH
    assert rows.filter(title="expired", archived_at__isnull=False).count() == EACH
    assert rows.filter(title="read", archived_at__isnull=False).count() == EACH
    # Each row that came back or was archived took one number, and no number was given twice or left out.
    for user_id, head in heads.items():
        last = Inbox.objects.get(user=user_id).last_seq
        given = list(rows.filter(user=user_id, inbox_seq__gt=head).values_list("inbox_seq", flat=True))
        assert sorted(given) == list(range(head + 1, head + EACH + 1))
        assert last == head + EACH


def heads() -> dict[Any, int]:
    return dict(Inbox.objects.values_list("user_id", "last_seq"))


@pytest.mark.usefixtures("_rows")
def test_two_beats_and_two_workers_do_everything_once(tmp_path: Path) -> None:
    write_schedules()
    each_second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.exclude(name__in=JOBS).update(enabled=False)
    PeriodicTask.objects.filter(name__in=JOBS).update(crontab=None, interval=each_second, expire_seconds=None)
    before = heads()
    with installation(
        redis_url=configured.REDIS_URL,
        redis_prefix=configured.REDIS_PREFIX,
        smtp_port=1,
        log=tmp_path / "log",
    ) as running:
        for number in range(2):
            running.start_worker()
            _beat(running, tmp_path / f"beat-{number}")
        names = ("unsnooze", "expire", "archive", "retention")
        finished = LifecycleJob.objects.filter(name__in=names, finished_at__isnull=False)
        running.wait_until(lambda: finished.count() == len(names) and not _left())
        seen = dict(finished.values_list("name", "finished_at"))
        running.wait_until(  # and every job has been rung for again
            lambda: all(
                LifecycleJob.objects.get(name=name).started_at > moment + dt.timedelta(seconds=2)
                for name, moment in seen.items()
            )
        )
    check_all_is_done(before)
    assert not LifecycleJob.objects.exclude(error="").exists()


def _left() -> bool:
    """Whether anything has still to be done."""
    rows = Notification.objects
    return (
        rows.filter(title="old").exists()
        or rows.filter(title__in=["read", "expired"], archived_at=None).exists()
        or rows.filter(snoozed_until__isnull=False).exists()
    )


def _beat(running: Installation, folder: Path) -> subprocess.Popen[bytes]:
    return running._start(
        sys.executable, "-m", "celery", "--quiet", "-A", "castcomm", "beat",
        "--scheduler", "django_celery_beat.schedulers:DatabaseScheduler",
        "--pidfile=", f"--schedule={folder}", "--loglevel", "WARNING",
    )  # fmt: skip


WORK = {
    "unsnooze": (inbox_lifecycle.unsnooze, "_come_back"),
    "expire": (inbox_lifecycle.expire, "_expire_batch"),
    "archive": (inbox_lifecycle.archive, "_archive_batch"),
    "retention": (retention.prune, "_delete_due"),
}


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("name", WORK)
def test_a_job_that_is_killed_in_the_middle_is_done_by_the_next(name: str) -> None:
    """The first dies after its first batch; two that come when its lease is over run side by side."""
    before, work = heads(), WORK[name][0]
    died = _process(lambda: _die_in(name))
    died.join(60)
    assert died.exitcode == -signal.SIGKILL
    assert LifecycleJob.objects.get(name=name).lease_token is not None
    assert run_job(name, lambda run: 1, lease=dt.timedelta(minutes=1)) is None
    LifecycleJob.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    # Without the lease between them: the work itself has to bear company.
    both = [_process(lambda n=n: _run_beside(f"{name} {n}", work)) for n in range(2)]
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    for task in (tasks.unsnooze, tasks.expire, tasks.archive, tasks.prune):
        assert task() is not None
    check_all_is_done(before)


def _process(target: Callable[[], None]) -> Any:
    connections.close_all()
    made = _fork.Process(target=target)
    made.start()
    return made


def _die_in(name: str) -> None:
    inbox_lifecycle.BATCH = inbox_lifecycle.WINDOW = retention.BATCH = 7
    work, batch = WORK[name]
    module: Any = sys.modules[work.__module__]
    real = getattr(module, batch)

    def once(*given: Any) -> None:
        if real(*given):
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, batch, once)
    run_job(name, work, lease=dt.timedelta(minutes=5))


def _run_beside(name: str, work: Any) -> None:
    inbox_lifecycle.BATCH = inbox_lifecycle.WINDOW = retention.BATCH = 7
    run_job(name, work, lease=dt.timedelta(minutes=5))
    connections.close_all()
