"""Who runs which step: conditional claims with a lease, so that a dead worker's steps come back.

Steps are claimed in batches. When a worker dies, every step of its batch is a suspect; suspects are run one
at a time from then on, so that the guilty one is alone when it kills again and the others go free.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, replace

from castcomm.common import sql
from castcomm.common.ids import new_id

LEASE = dt.timedelta(seconds=60)
BATCH = 50


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one step until ``until``. A suspect is one whose worker has died before."""

    step_run_id: uuid.UUID
    execution_id: uuid.UUID
    token: uuid.UUID
    until: dt.datetime
    is_suspect: bool = False


# The states stand in the statements as literals: that is what lets PostgreSQL use the partial indexes. The
# organizations that have something waiting are found by hops through the index, one per organization; each gets an
# equal share of the batch, so that one with a million due steps holds up nobody.
DUE = """
WITH RECURSIVE waiting AS (
  (SELECT organization_id FROM workflows_steprun WHERE status = 'waiting' AND deaths = 0
    ORDER BY organization_id LIMIT 1)
  UNION ALL
  SELECT (SELECT s.organization_id FROM workflows_steprun s
           WHERE s.status = 'waiting' AND s.deaths = 0 AND s.organization_id > waiting.organization_id
           ORDER BY s.organization_id LIMIT 1)
    FROM waiting WHERE waiting.organization_id IS NOT NULL
),
ready AS (
  SELECT organization_id FROM waiting WHERE EXISTS (
    SELECT 1 FROM workflows_steprun s
     WHERE s.status = 'waiting' AND s.deaths = 0 AND s.organization_id = waiting.organization_id
       AND s.due_at <= %(now)s)
),
share AS (
  SELECT greatest(1, %(limit)s / greatest(1, count(*)))::int AS rows FROM ready
),
due AS (
  SELECT due.id FROM ready, share, LATERAL (
    SELECT s.id FROM workflows_steprun s
     WHERE s.status = 'waiting' AND s.deaths = 0 AND s.organization_id = ready.organization_id
       AND s.due_at <= %(now)s
     ORDER BY s.due_at LIMIT share.rows FOR UPDATE SKIP LOCKED
  ) due LIMIT %(limit)s
)"""
SUSPECT = """
WITH due AS MATERIALIZED (
  SELECT id FROM workflows_steprun WHERE status = 'waiting' AND deaths > 0 AND due_at <= %(now)s
   ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)"""
_CLAIM = """
UPDATE workflows_steprun s
   SET status = 'running', lease_token = %(token)s, lease_until = %(until)s, attempts = attempts + 1,
       started_at = coalesce(started_at, %(now)s)
  FROM due WHERE s.id = due.id
RETURNING s.id, s.execution_id, s.due_at
"""
_RELEASE = """
UPDATE workflows_steprun
   SET status = 'waiting', lease_token = NULL, lease_until = NULL, attempts = attempts - 1
 WHERE id = ANY(%s) AND status = 'running' AND lease_token = %s
"""
_RECOVER = """
UPDATE workflows_steprun
   SET status = 'waiting', lease_token = NULL, lease_until = NULL, deaths = deaths + 1
 WHERE id IN (
    SELECT id FROM workflows_steprun
     WHERE status = 'running' AND lease_until < %s
     ORDER BY lease_until LIMIT 500 FOR UPDATE SKIP LOCKED)
"""


def claim_due_steps(*, now: dt.datetime, limit: int = BATCH, lease: dt.timedelta = LEASE) -> list[Claim]:
    """Take up to ``limit`` due steps, the longest due first. Commits at once outside a transaction."""
    return _claim(DUE, now, limit, lease)


def claim_suspect(*, now: dt.datetime, lease: dt.timedelta = LEASE) -> list[Claim]:
    """Take at most one due step whose worker has died before."""
    return [replace(claim, is_suspect=True) for claim in _claim(SUSPECT, now, 1, lease)]


def release_steps(claims: list[Claim]) -> None:
    """Give back steps that were claimed and not begun."""
    if claims:
        sql.count(_RELEASE, ([claim.step_run_id for claim in claims], claims[0].token))


def recover_lost_steps(*, now: dt.datetime) -> int:
    """Make steps whose lease ran out due again, and count the death; returns how many."""
    return sql.count(_RECOVER, (now,))


def _claim(due: str, now: dt.datetime, limit: int, lease: dt.timedelta) -> list[Claim]:
    token, until = new_id(), now + lease
    given = {"now": now, "limit": limit, "token": token, "until": until}
    rows = sql.run(due + _CLAIM, given)
    rows.sort(key=lambda row: row[2])
    return [Claim(step_run_id, execution_id, token, until) for step_run_id, execution_id, _ in rows]
