"""What goes into a digest: a place in the person's open window for each delivery, in the order in which they came.

The row of an open window is the lock: who adds to it counts it up and holds it until the commit, and who closes it
holds it too. An addition that waited for a close finds no open window any more, and opens the next.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from castcomm.common import sql
from castcomm.common.ids import new_id
from notifications.services.digests.schedule import cadence_of, closes_at
from notifications.services.policy_facts import DigestChoice


@dataclass(frozen=True, slots=True)
class Collected:
    """A delivery whose status is ``in_digest``, and the digest of its person that it goes into."""

    delivery_id: uuid.UUID
    user_id: uuid.UUID
    zone: str
    choice: DigestChoice


# Windows are taken in the order of people's ids: two calls that reach the same people cannot lock each other out.
_COLLECT = """
WITH given AS (
  SELECT * FROM json_to_recordset(%s::json)
    AS g(id uuid, user_id uuid, cadence text, zone text, closes_at timestamptz, deliveries uuid[])
),
windows AS (
  INSERT INTO notifications_digestwindow
    (id, created_at, organization_id, user_id, cadence, status, zone, closes_at, item_count)
  SELECT id, %s, %s, user_id, cadence, 'open', zone, closes_at, cardinality(deliveries)
    FROM given ORDER BY user_id, cadence
  ON CONFLICT (organization_id, user_id, cadence) WHERE status = 'open'
  DO UPDATE SET item_count = notifications_digestwindow.item_count + excluded.item_count
  RETURNING id, user_id, cadence, item_count
)
INSERT INTO notifications_digestitem (delivery_id, window_id, position)
SELECT d.id, windows.id, windows.item_count - cardinality(given.deliveries) + d.place
  FROM windows JOIN given USING (user_id, cadence)
 CROSS JOIN LATERAL unnest(given.deliveries) WITH ORDINALITY AS d(id, place)
"""


def collect(organization_id: uuid.UUID, items: Sequence[Collected], *, now: dt.datetime) -> None:
    """Put deliveries into the open windows of their people, which are opened where there are none.

    One statement for all of them, in the transaction of the caller, who has written the deliveries.
    """
    if not items:
        return
    windows: dict[tuple[uuid.UUID, str], list[Collected]] = {}
    for item in items:
        windows.setdefault((item.user_id, cadence_of(item.choice)), []).append(item)
    given = [
        {
            "id": new_id(),
            "user_id": user_id,
            "cadence": cadence,
            "zone": together[0].zone,
            "closes_at": closes_at(together[0].choice, together[0].zone, now),
            "deliveries": [item.delivery_id for item in together],
        }
        for (user_id, cadence), together in windows.items()
    ]
    sql.run(_COLLECT, (orjson.dumps(given).decode(), now, organization_id))
