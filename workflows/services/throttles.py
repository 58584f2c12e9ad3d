"""Upkeep of what throttle steps count."""

from __future__ import annotations

from castcomm.common import sql
from castcomm.common.clock import now

_FORGET = """
DELETE FROM workflows_throttlepass WHERE id IN (
  SELECT id FROM workflows_throttlepass WHERE expires_at < %s ORDER BY expires_at LIMIT 5000 FOR UPDATE SKIP LOCKED)
"""


def forget_passes() -> int:
    """Delete passes that no throttle looks at any more; returns how many."""
    forgotten = 0
    while found := sql.count(_FORGET, (now(),)):
        forgotten += found
    return forgotten
