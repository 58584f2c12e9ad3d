"""Periodic jobs that at most one process runs at a time, each with a record of its last run (``LifecycleJob``).

The lease keeps two Beats from doing the work twice; it is not what makes the work right. A worker that hangs for
longer than its lease goes on beside its successor, so every job also has to bear that: it locks what it changes and
looks at it again under the lock.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import Error as DatabaseFailure

from castcomm.common import sql
from castcomm.common.ids import new_id
from castcomm.monitoring.redaction import redact_text

log = structlog.get_logger(__name__)

MAX_ERROR = 2_000  # characters of an error that are kept
SHARE = 0.5  # of the lease for which a run begins new batches

# The database's clock alone counts, so that machines need not agree on the time.
_TAKE = """
INSERT INTO notifications_lifecyclejob AS job
  (name, lease_until, lease_token, "cursor", started_at, finished_at, changed, error)
VALUES (%(name)s, clock_timestamp() + %(lease)s, %(token)s, '', clock_timestamp(), NULL, 0, '')
ON CONFLICT (name) DO UPDATE
   SET lease_until = excluded.lease_until, lease_token = excluded.lease_token, started_at = excluded.started_at,
       finished_at = NULL, changed = 0, error = ''
 WHERE job.lease_until IS NULL OR job.lease_until < clock_timestamp()
RETURNING "cursor"
"""

_KEEP = """
UPDATE notifications_lifecyclejob SET "cursor" = %(cursor)s WHERE name = %(name)s AND lease_token = %(token)s
"""

_FINISH = """
UPDATE notifications_lifecyclejob
   SET lease_until = NULL, lease_token = NULL, finished_at = clock_timestamp(), changed = %(changed)s,
       error = %(error)s
 WHERE name = %(name)s AND lease_token = %(token)s
"""


class LeaseLost(Exception):
    """Somebody else has taken the job over: this run took too long."""


@dataclass(slots=True)
class Run:
    """One run of a job. ``cursor`` is what the last one left with ``keep`` ("" at the start)."""

    name: str
    token: uuid.UUID
    cursor: str
    ends: float  # time.monotonic()

    def keep(self, cursor: str) -> None:
        """Remember how far the job got (at most 64 characters), for the next run; raises LeaseLost."""
        kept = sql.count(_KEEP, {"name": self.name, "token": self.token, "cursor": cursor})
        if not kept:
            raise LeaseLost(self.name)
        self.cursor = cursor

    def out_of_time(self) -> bool:
        """Whether the rest is the next run's: half of the lease is over."""
        return time.monotonic() >= self.ends


def run_job(name: str, work: Callable[[Run], int], *, lease: dt.timedelta) -> int | None:
    """Run ``work``, which returns how many rows it changed, unless somebody else runs it: then None.

    ``work`` commits in batches and stops soon after ``Run.out_of_time``. What it raises is recorded and raised again.
    The lease is free again when the run ends; after a death, when ``lease`` has passed.
    """
    token = new_id()
    taken = sql.run(_TAKE, {"name": name, "lease": lease, "token": token})
    if not taken:
        return None
    run = Run(name, token, taken[0][0], time.monotonic() + lease.total_seconds() * SHARE)
    try:
        changed = work(run)
    except LeaseLost:
        log.warning("lifecycle.lease_lost", job=name)
        return None
    except Exception as error:
        _record_failure(run, error)
        raise
    _finish(run, changed=changed, error="")
    if changed:
        log.info("lifecycle.done", job=name, changed=changed)
    return changed


def _record_failure(run: Run, error: Exception) -> None:
    try:
        _finish(run, changed=0, error=f"{type(error).__name__}: {redact_text(str(error))}"[:MAX_ERROR])
    except DatabaseFailure:  # then the lease ends by itself, and the first error is the one to be seen
        log.exception("lifecycle.not_recorded", job=run.name)


def _finish(run: Run, *, changed: int, error: str) -> None:
    sql.count(_FINISH, {"name": run.name, "token": run.token, "changed": changed, "error": error})
