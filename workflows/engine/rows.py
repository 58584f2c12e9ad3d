"""The statements that lock what a batch has claimed, and write what came of it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from castcomm.common import sql
from workflows.engine.claims import Claim
from workflows.engine.interpreter import Transition
from workflows.steps.base import step_types

if TYPE_CHECKING:
    from workflows.engine.batches import RunState, StepState

log = structlog.get_logger(__name__)

# An execution is locked before its steps, here and where it is cancelled.
_LOCK = "SELECT id FROM workflows_execution WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_READ = """
SELECT e.id, e.organization_id, e.user_id, e.workflow_id, e.version_id, e.data::text, e.started_at,
       w.paused_at IS NOT NULL, s.id, s.position, s.path, s.due_at, s.attempts, s.deaths, s.result::text
  FROM workflows_steprun s JOIN workflows_execution e ON e.id = s.execution_id
  JOIN workflows_workflow w ON w.id = e.workflow_id
 WHERE s.id = ANY(%s) AND s.status = 'running' AND s.lease_token = ANY(%s)
 ORDER BY s.id FOR NO KEY UPDATE OF s
"""
_PAUSED = "SELECT id FROM workflows_workflow WHERE id = ANY(%s) AND paused_at IS NOT NULL FOR SHARE"
_UPDATE = """
UPDATE workflows_steprun s
   SET status = u.status, due_at = u.due_at, attempts = u.attempts, deaths = u.deaths, result = u.result::jsonb,
       error = u.error, notification_id = u.notification_id, finished_at = u.finished_at, lease_until = NULL,
       lease_token = NULL
  FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::smallint[], %s::smallint[], %s::text[], %s::text[],
              %s::uuid[], %s::timestamptz[])
       AS u(id, status, due_at, attempts, deaths, result, error, notification_id, finished_at)
 WHERE s.id = u.id
"""
_INSERT = """
INSERT INTO workflows_steprun
  (id, created_at, organization_id, execution_id, position, path, step_type, input, status, due_at, attempts, deaths,
   started_at, finished_at, result, error, notification_id)
SELECT u.id, %s, u.organization_id, u.execution_id, u.position, u.path, u.step_type, u.input::jsonb, u.status, u.due_at,
       u.attempts, 0, u.started_at, u.finished_at, u.result::jsonb, u.error, u.notification_id
  FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[],
              %s::timestamptz[], %s::smallint[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[],
              %s::uuid[])
       AS u(id, organization_id, execution_id, position, path, step_type, input, status, due_at, attempts, started_at,
            finished_at, result, error, notification_id)
"""
_KEEP_DATA = """
UPDATE workflows_execution e SET data = u.data::jsonb
  FROM unnest(%s::uuid[], %s::text[]) AS u(id, data) WHERE e.id = u.id
"""
_END = """
UPDATE workflows_execution e SET status = u.status, reason = u.reason, finished_at = %s
  FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS u(id, status, reason) WHERE e.id = u.id
"""


def lock_paused(workflow_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the workflows that are paused and stay so until the transaction ends.

    Whoever resumes one waits for that, and finds what was put aside in it.
    """
    return {row[0] for row in sql.run(_PAUSED, (list(workflow_ids),))} if workflow_ids else set()


def lock(claimed: Sequence[Claim]) -> list[tuple[Any, ...]]:
    """Lock the executions and then the steps; the rows of those that are still this worker's."""
    sql.run(_LOCK, (sorted({claim.execution_id for claim in claimed}),))
    return sql.run(
        _READ, ([claim.step_run_id for claim in claimed], list({claim.token for claim in claimed}))
    )


def update_steps(steps: Sequence[StepState]) -> None:
    """Record claimed steps and give up their leases."""
    if not steps:
        return
    given = [
        (
            step.id, step.status, step.due_at, step.attempts, step.deaths, _json(step.result), step.error,
            step.notification_id, step.finished_at,
        )
        for step in steps
    ]  # fmt: skip
    sql.run(_UPDATE, _columns(given))


def insert_steps(steps: Sequence[tuple[RunState, StepState]], *, now: dt.datetime) -> None:
    """Write step runs that began, and perhaps ended, in this transaction."""
    if not steps:
        return
    given = [
        (
            step.id, run.organization_id, run.id, step.position, step.place.path, step.place.type,
            _json(step_types.get(step.place.type).recorded(step.place.step)), step.status, step.due_at, step.attempts,
            step.started_at, step.finished_at,
            _json(step.result), step.error, step.notification_id,
        )
        for run, step in steps
    ]  # fmt: skip
    sql.run(_INSERT, (now, *_columns(given)))


def keep_data(changed: Sequence[tuple[uuid.UUID, Mapping[str, Any]]]) -> None:
    """Write the data of executions, locked by the caller, to which steps have added."""
    if changed:
        sql.run(_KEEP_DATA, _columns([(id_, _json(data)) for id_, data in changed]))


def end_executions(ended: Sequence[tuple[uuid.UUID, Transition]], *, now: dt.datetime) -> None:
    """Record how executions, locked by the caller, have ended."""
    if not ended:
        return
    given = [(id_, one.ends.value, one.reason) for id_, one in ended if one.ends is not None]
    sql.run(_END, (now, *_columns(given)))
    for id_, status, reason in given:
        log.info("workflow.ended", execution_id=str(id_), status=status, reason=reason)


def _columns(given: Sequence[tuple[Any, ...]]) -> tuple[list[Any], ...]:
    return tuple(list(column) for column in zip(*given, strict=True))


def _json(value: Any) -> str | None:
    return orjson.dumps(dict(value)).decode() if value is not None else None
