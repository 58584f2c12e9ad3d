"""One process at a time runs a job, and what came of it is on record."""

from __future__ import annotations

import datetime as dt

import pytest

from castcomm.common.clock import now
from castcomm.common.ids import new_id
from notifications.models import LifecycleJob
from notifications.services.lifecycle import LeaseLost, Run, run_job

pytestmark = pytest.mark.django_db
MINUTE = dt.timedelta(minutes=1)


def test_a_run_is_recorded_and_the_next_one_finds_where_it_stopped() -> None:
    def first(run: Run) -> int:
        assert run.cursor == ""
        run.keep("here")
        return 3

    assert run_job("test", first, lease=MINUTE) == 3
    job = LifecycleJob.objects.get(name="test")
    assert (job.changed, job.cursor, job.error, job.lease_until) == (3, "here", "", None)
    assert job.started_at is not None
    assert job.finished_at is not None
    seen: list[str] = []
    assert run_job("test", lambda run: seen.append(run.cursor) or 0, lease=MINUTE) == 0
    assert seen == ["here"]


def test_nobody_else_runs_it_meanwhile() -> None:
    inner: list[int | None] = []

    def work(run: Run) -> int:
        inner.append(run_job("test", lambda run: 99, lease=MINUTE))
        return 1

    assert run_job("test", work, lease=MINUTE) == 1
    assert inner == [None]


def test_a_failure_is_recorded_and_frees_the_job() -> None:
    def fail(run: Run) -> int:
        raise RuntimeError("no room for person@example.com")

    with pytest.raises(RuntimeError):
        run_job("test", fail, lease=MINUTE)
    job = LifecycleJob.objects.get(name="test")
    assert job.error.startswith("RuntimeError: no room")
    assert "person@example.com" not in job.error
    assert run_job("test", lambda run: 2, lease=MINUTE) == 2
    job.refresh_from_db()
    assert job.error == ""


def test_after_a_death_the_job_is_free_when_the_lease_is_over() -> None:
    row = LifecycleJob.objects.create(
        name="test", lease_until=now() + MINUTE, lease_token=new_id(), cursor="far", started_at=now()
    )
    assert run_job("test", lambda run: 1, lease=MINUTE) is None
    LifecycleJob.objects.filter(pk=row.pk).update(lease_until=now() - MINUTE)
    assert run_job("test", lambda run: int(run.cursor == "far"), lease=MINUTE) == 1


def test_who_lost_the_lease_changes_neither_cursor_nor_record() -> None:
    def slow(run: Run) -> int:
        LifecycleJob.objects.filter(name="test").update(lease_token=new_id(), cursor="theirs")
        with pytest.raises(LeaseLost):
            run.keep("mine")
        run.keep("mine")
        return 5

    assert run_job("test", slow, lease=MINUTE) is None
    job = LifecycleJob.objects.get(name="test")
    assert (job.cursor, job.finished_at) == ("theirs", None)


def test_a_run_ends_long_before_its_lease() -> None:
    run_job("test", lambda run: int(run.out_of_time()), lease=dt.timedelta(0))
    assert LifecycleJob.objects.get(name="test").changed == 1
