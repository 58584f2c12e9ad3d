"""The inbox as a channel: a delivery that was deferred goes into the inbox when it is due."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.db import transaction

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from notifications.services import inbox, outbox
from notifications.services.outbox import Lease, Settled
from notifications.vocabulary import DeliveryStatus, Reason

_PLACE = """
WITH due AS (
  SELECT n.id, n.organization_id, n.user_id,
         row_number() OVER (PARTITION BY n.organization_id, n.user_id ORDER BY n.id) AS position,
         count(*) OVER (PARTITION BY n.organization_id, n.user_id) AS many
    FROM notifications_delivery d JOIN notifications_notification n ON n.id = d.notification_id
    JOIN accounts_organization o ON o.id = n.organization_id AND o.is_active
   WHERE d.id = ANY(%s) AND d.lease_token = %s AND n.cancelled_at IS NULL AND n.inbox_seq IS NULL
     AND n.user_id IS NOT NULL AND (n.expires_at IS NULL OR n.expires_at > %s)
),
counted AS (
  INSERT INTO notifications_inbox (organization_id, user_id, last_seq)
  SELECT organization_id, user_id, many FROM due WHERE position = 1 ORDER BY user_id
  ON CONFLICT (organization_id, user_id) DO UPDATE SET last_seq = notifications_inbox.last_seq + excluded.last_seq
  RETURNING organization_id, user_id, last_seq
)
UPDATE notifications_notification n
   SET inbox_seq = counted.last_seq - due.many + due.position, created_at = %s
  FROM due JOIN counted USING (organization_id, user_id) WHERE n.id = due.id
RETURNING n.id
"""

_STATE = """
SELECT d.id, d.organization_id, d.attempt_count, n.id, n.cancelled_at IS NOT NULL, o.is_active
  FROM notifications_delivery d
  JOIN notifications_notification n ON n.id = d.notification_id
  JOIN accounts_organization o ON o.id = n.organization_id WHERE d.id = ANY(%s)
"""


def deliver(lease: Lease, delivery_ids: Sequence[uuid.UUID]) -> None:
    """Put the notifications of these deliveries into their inboxes, in one transaction, and show them."""
    now = current_time()
    with transaction.atomic():
        placed = {row[0] for row in sql.run(_PLACE, (list(delivery_ids), lease.token, now, now))}
        settled = []
        for delivery_id, organization_id, attempts, notification_id, cancelled, active in sql.run(
            _STATE, (list(delivery_ids),)
        ):
            if notification_id in placed:
                status, reason = DeliveryStatus.DELIVERED, Reason.IN_INBOX
            elif cancelled:
                status, reason = DeliveryStatus.CANCELLED, Reason.CANCELLED
            elif not active:
                status, reason = DeliveryStatus.SUPPRESSED, Reason.ORGANIZATION_INACTIVE
            else:
                status, reason = DeliveryStatus.FAILED, Reason.EXPIRED
            settled.append(Settled(delivery_id, organization_id, status, reason, attempts))
        outbox.settle(lease, settled, now=now)
        inbox.publish_on_commit(list(placed))
