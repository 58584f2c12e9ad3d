"""Upkeep of the events that are kept for drafts to be tried on and for steps that look back."""

from __future__ import annotations

import uuid

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from notifications.services.lifecycle import Run
from notifications.services.retention_periods import first_id_at, limits

BATCH = 5_000

# Ids are UUIDv7: of time. Behind ``after`` nothing is due any more, though some may be kept there for ever.
_FORGET = """
WITH policy AS (
  SELECT * FROM unnest(%(organizations)s::uuid[], %(firsts)s::timestamptz[]) AS p(organization_id, moment)
)
DELETE FROM workflows_recordedevent WHERE id IN (
  SELECT t.id FROM workflows_recordedevent t LEFT JOIN policy p ON p.organization_id = t.organization_id
   WHERE t.id > %(after)s AND t.id < %(before)s
     AND t.created_at < CASE WHEN p.organization_id IS NULL THEN %(default_first)s::timestamptz ELSE p.moment END
   ORDER BY t.id LIMIT %(limit)s FOR UPDATE OF t SKIP LOCKED)
RETURNING id
"""


def forget_events(run: Run) -> int:
    """Delete what is older than its organization keeps events (``keep_events``); returns how many."""
    moments = limits("keep_events", "keep_events", now=current_time())
    if moments is None:
        return 0
    given = {**moments, "before": first_id_at(moments["newest"]), "limit": BATCH}
    after, forgotten = uuid.UUID(int=0), 0
    while not run.out_of_time():
        gone = [row[0] for row in sql.run(_FORGET, {**given, "after": after})]
        forgotten += len(gone)
        if len(gone) < BATCH:
            break
        after = max(gone)
    return forgotten
