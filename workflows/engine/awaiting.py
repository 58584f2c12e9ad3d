"""Steps that wait for events: written by the run that waits, matched in the transaction that reports the event."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import structlog

from castcomm.common import sql
from castcomm.common.errors import TemporarilyUnavailable
from castcomm.common.ids import new_id
from workflows.engine.ports import AwaitEvent, Origin
from workflows.engine.values import EventValues
from workflows.engine.windows import wake
from workflows.expressions import ExpressionError, evaluate

log = structlog.get_logger(__name__)

_SUBSCRIBE = """
INSERT INTO workflows_eventsubscription
  (id, created_at, organization_id, user_id, execution_id, step_run_id, event, match)
VALUES (%s, now(), %s, %s, %s, %s, %s, %s)
"""
_EARLIER = """
SELECT data::text FROM workflows_recordedevent
 WHERE organization_id = %s AND user_id = %s AND event = %s AND created_at >= %s ORDER BY created_at, id LIMIT 500
"""
_TAKE = """
UPDATE workflows_eventsubscription SET closed_at = coalesce(closed_at, %s) WHERE step_run_id = %s RETURNING data::text
"""
_WAITING = """
SELECT b.id, b.step_run_id, b.match, e.data::text FROM workflows_eventsubscription b
  JOIN workflows_execution e ON e.id = b.execution_id
 WHERE b.organization_id = %s AND b.user_id = %s AND b.event = %s AND b.closed_at IS NULL AND e.status = 'running'
 ORDER BY b.id FOR UPDATE OF b
"""
_ARRIVED = "UPDATE workflows_eventsubscription SET closed_at = %s, data = %s::jsonb WHERE id = ANY(%s)"
_RECORD = """
INSERT INTO workflows_recordedevent (id, created_at, organization_id, user_id, event, data, source, idempotency_key)
VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s, %s)
"""


def subscribe(wanted: AwaitEvent) -> Mapping[str, Any] | None:
    """Wait for the event, unless a fitting one has been recorded since ``wanted.since``: then its data.

    Raises TemporarilyUnavailable while such an event is being reported.
    """
    origin = wanted.origin
    if wanted.since is not None:
        _exclude_reports(origin, wanted.event)
        for data in _earlier(wanted):
            if fits(wanted.match, data, wanted.data, now=wanted.now):
                return data
    who = (origin.organization_id, origin.user_id, origin.execution_id, origin.step_run_id)
    sql.run(_SUBSCRIBE, (new_id(), *who, wanted.event, wanted.match))
    return None


def take(origin: Origin, *, now: dt.datetime) -> Mapping[str, Any] | None:
    """The data of the event that came for the step, or None; what is reported from now on is too late for it."""
    [(data,)] = sql.run(_TAKE, (now, origin.step_run_id))
    found: Mapping[str, Any] | None = orjson.loads(data) if data is not None else None
    return found


def record(
    *,
    organization_id: uuid.UUID,
    user_id: uuid.UUID,
    event: str,
    data: Mapping[str, Any],
    source: str,
    idempotency_key: str,
    now: dt.datetime,
) -> int:
    """Keep the event and wake the steps that wait for it, in the caller's transaction; returns how many."""
    # A step that looks back at what was recorded must see this event or be seen by it.
    sql.run("SELECT pg_advisory_xact_lock_shared(%s)", (_lock(user_id, event),))
    text = orjson.dumps(data).decode()
    sql.run(_RECORD, (new_id(), now, organization_id, user_id, event, text, source, idempotency_key))
    rows = sql.run(_WAITING, (organization_id, user_id, event))
    arrived = [(row[0], row[1]) for row in rows if fits(row[2], data, orjson.loads(row[3]), now=now)]
    if arrived:
        sql.run(_ARRIVED, (now, text, [subscription for subscription, _ in arrived]))
        wake({step_run: now for _, step_run in arrived})
    return len(arrived)


def _exclude_reports(origin: Origin, event: str) -> None:
    # Waiting for it here, with executions locked, could wait for somebody who waits for them.
    lock = _lock(origin.user_id, event)
    if sql.run("SELECT pg_try_advisory_xact_lock(%s)", (lock,)) != [(True,)]:
        raise TemporarilyUnavailable("The event is being reported at this moment.")


def _lock(user_id: uuid.UUID, event: str) -> int:
    return uuid.uuid5(user_id, event).int & (2**63 - 1)


def _earlier(wanted: AwaitEvent) -> Iterator[Mapping[str, Any]]:
    origin = wanted.origin
    rows = sql.run(_EARLIER, (origin.organization_id, origin.user_id, wanted.event, wanted.since))
    return (orjson.loads(row[0]) for row in rows)


def fits(match: str, event: Mapping[str, Any], data: Mapping[str, Any], *, now: dt.datetime) -> bool:
    """Whether the event is the one; a question that makes no sense for its data is answered with no."""
    if not match:
        return True
    try:
        return evaluate(match, EventValues(event=event, data=data), now=now).value is True
    except ExpressionError as error:
        log.warning("workflow.event_not_matched", match=match, error=str(error))
        return False
