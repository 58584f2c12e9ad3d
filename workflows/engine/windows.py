"""Digest windows in PostgreSQL: joined and closed in the transactions of the runs that do it.

Two runs cannot both open a window: a partial unique index allows one that is open. Who joins locks the window, not the
run that owns it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, NamedTuple

import orjson

from castcomm.common import sql
from castcomm.common.ids import new_id
from workflows.engine.ports import DigestClosed, DigestJoined, JoinDigest, Origin

MAX_SIZE = 256 * 1024  # bytes of items; a window that holds more closes
_SAME = "workflow_id = %s AND user_id = %s AND scope = %s AND key = %s"
# A window whose owner has ended, by a cancel or a failure, collects for nobody. In the transaction that opens the
# window its owner may not be written yet.
_FIND = f"""
SELECT w.id, w.execution_id, w.step_run_id, w.opened_at, w.closes_at, w.count, w.size,
       coalesce((SELECT s.status IN ('waiting', 'running', 'paused')
                   FROM workflows_steprun s WHERE s.id = w.step_run_id), true)
  FROM workflows_digestwindow w
 WHERE {_SAME} AND closed_at IS NULL FOR UPDATE OF w
"""  # noqa: S608 - constants only
_RECENT = f"""
SELECT 1 FROM workflows_digestwindow WHERE {_SAME} AND opened_at > %s - interval '731 days'
   AND greatest(opened_at, closed_at) > %s AND id <> %s LIMIT 1
"""  # noqa: S608 - constants only
_OPEN = """
INSERT INTO workflows_digestwindow
  (id, created_at, organization_id, workflow_id, user_id, scope, key, execution_id, step_run_id, opened_at, closes_at,
   closed_at, count, size)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0)
ON CONFLICT (workflow_id, user_id, scope, key) WHERE closed_at IS NULL DO NOTHING
RETURNING id
"""
_ADD = """
WITH item AS (
  INSERT INTO workflows_digestitem (id, created_at, organization_id, window_id, execution_id, data)
  VALUES (%s, %s, %s, %s, %s, %s::jsonb)
)
UPDATE workflows_digestwindow
   SET count = count + 1, size = size + %s, closes_at = %s, closed_at = coalesce(closed_at, %s) WHERE id = %s
"""
_CLOSE = "UPDATE workflows_digestwindow SET closed_at = %s WHERE id = %s AND closed_at IS NULL"
_LOCK = "SELECT closes_at, closed_at FROM workflows_digestwindow WHERE id = %s FOR UPDATE"
_ITEMS = "SELECT data::text FROM workflows_digestitem WHERE window_id = %s ORDER BY created_at, id"
_WAKE = """
UPDATE workflows_steprun SET due_at = given.due_at
  FROM (SELECT s.id, w.due_at FROM unnest(%s::uuid[], %s::timestamptz[]) AS w(id, due_at)
          JOIN workflows_steprun s ON s.id = w.id AND s.status = 'waiting'
         ORDER BY s.id FOR NO KEY UPDATE OF s SKIP LOCKED) AS given
 WHERE workflows_steprun.id = given.id
"""


class Window(NamedTuple):
    """The open window that was found."""

    id: uuid.UUID
    execution_id: uuid.UUID
    step_run_id: uuid.UUID
    opened_at: dt.datetime
    closes_at: dt.datetime
    held: int
    size: int
    is_owned: bool


def join(wanted: JoinDigest) -> tuple[DigestJoined, tuple[uuid.UUID, dt.datetime] | None]:
    """Put the item in; returns the step run that is to be woken at another time than it expects, with that time."""
    data = orjson.dumps(dict(wanted.item)).decode()
    while True:
        found = [Window(*row) for row in sql.run(_FIND, _names(wanted.origin, wanted.key))]
        if found and found[0].is_owned:
            return _add(found[0], wanted, data)
        if found:
            sql.run(_CLOSE, (wanted.now, found[0].id))
        opened = _open(wanted)
        if opened is not None:
            joined, _ = _add(opened, wanted, data, passes=_passes(wanted, opened))
            return joined, None


def close(window: str, *, now: dt.datetime) -> DigestClosed | dt.datetime:
    """Close it and read it; or the later time to which it was moved meanwhile."""
    window_id = uuid.UUID(window)
    [(closes_at, closed_at)] = sql.run(_LOCK, (window_id,))
    if closed_at is None and closes_at > now:
        moved: dt.datetime = closes_at
        return moved
    sql.run(_CLOSE, (now, window_id))
    return DigestClosed([orjson.loads(row[0]) for row in sql.run(_ITEMS, (window_id,))])


def wake(times: dict[uuid.UUID, dt.datetime]) -> None:
    """Make sleeping step runs due at other times; one that is being run at this moment looks by itself."""
    if times:
        sql.run(_WAKE, (list(times), list(times.values())))


def _open(wanted: JoinDigest) -> Window | None:
    origin, window_id = wanted.origin, new_id()
    params = (
        window_id, wanted.now, origin.organization_id, *_names(origin, wanted.key), origin.execution_id,
        origin.step_run_id, wanted.now, wanted.until, None,
    )  # fmt: skip
    if not sql.run(_OPEN, params):
        return None
    return Window(
        window_id, origin.execution_id, origin.step_run_id, wanted.now, wanted.until, 0, 0, is_owned=True
    )


def _passes(wanted: JoinDigest, opened: Window) -> bool:
    """Whether the run goes on at once, because nothing came for a while before it."""
    if wanted.look_back is None:
        return False
    since = wanted.now - wanted.look_back
    recent = sql.run(_RECENT, (*_names(wanted.origin, wanted.key), wanted.now, since, opened.id))
    return not recent


def _add(
    window: Window, wanted: JoinDigest, data: str, *, passes: bool = False
) -> tuple[DigestJoined, tuple[uuid.UUID, dt.datetime] | None]:
    closes_at = window.closes_at
    if wanted.sliding_max is not None:
        closes_at = min(wanted.until, window.opened_at + wanted.sliding_max)
    is_full = window.held + 1 >= wanted.limit or window.size + len(data) >= MAX_SIZE
    closed = is_full or passes
    item = (new_id(), wanted.now, wanted.origin.organization_id, window.id, wanted.origin.execution_id, data)
    sql.run(_ADD, (*item, len(data), closes_at, wanted.now if closed else None, window.id))
    joined = DigestJoined(str(window.id), window.execution_id, closes_at, closed)
    if closed:
        return joined, (window.step_run_id, wanted.now)
    return joined, (window.step_run_id, closes_at) if closes_at != window.closes_at else None


def _names(origin: Origin, key: str) -> tuple[Any, ...]:
    return (origin.workflow_id, origin.user_id, origin.scope, key)
