"""The outbox's statements: claim, start, settle, rescue.

Each is one round trip and safe under any number of workers.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from castcomm.common import sql
from castcomm.common.ids import new_id
from notifications.rendering.content import InAppText
from notifications.services.digests.collecting import Collected
from notifications.vocabulary import DeliveryStatus, Outcome, Reason

# The organizations that have something waiting are found by skipping from one to the next in the index;
# then each that has something due gives its oldest rows. A flood from one organization leaves room for the others.
_WAITING_ORGANIZATIONS = """
WITH RECURSIVE waiting AS (
  (SELECT organization_id FROM notifications_delivery
    WHERE channel = %(channel)s AND priority = %(priority)s AND status IN ('pending', 'deferred')
    ORDER BY organization_id LIMIT 1)
  UNION ALL
  SELECT (SELECT d.organization_id FROM notifications_delivery d
           WHERE d.channel = %(channel)s AND d.priority = %(priority)s AND d.status IN ('pending', 'deferred')
             AND d.organization_id > waiting.organization_id
           ORDER BY d.organization_id LIMIT 1)
    FROM waiting WHERE waiting.organization_id IS NOT NULL
)"""

_CLAIM = (
    _WAITING_ORGANIZATIONS  # noqa: S608 - constants only
    + """,
ready AS (
  SELECT organization_id FROM waiting WHERE EXISTS (
    SELECT 1 FROM notifications_delivery d
     WHERE d.channel = %(channel)s AND d.priority = %(priority)s AND d.organization_id = waiting.organization_id
       AND d.status IN ('pending', 'deferred') AND d.due_at <= %(now)s)
),
share AS (
  SELECT greatest(1, %(limit)s / greatest(1, count(*)))::int AS rows FROM ready
),
claimed AS (
  SELECT due.id FROM ready, share, LATERAL (
    SELECT d.id FROM notifications_delivery d
     WHERE d.channel = %(channel)s AND d.priority = %(priority)s AND d.organization_id = ready.organization_id
       AND d.status IN ('pending', 'deferred') AND d.due_at <= %(now)s
     ORDER BY d.due_at LIMIT share.rows FOR UPDATE SKIP LOCKED
  ) due LIMIT %(limit)s
)
UPDATE notifications_delivery d
   SET status = 'sending', lease_until = %(lease)s, lease_token = %(token)s
  FROM claimed WHERE d.id = claimed.id
RETURNING d.id
"""
)

_DUE = """
SELECT c.channel, p.priority
  FROM unnest(%s::text[]) AS c(channel), generate_series(0, 3) AS p(priority)
 WHERE EXISTS (SELECT 1 FROM notifications_delivery d
                WHERE d.channel = c.channel AND d.priority = p.priority AND d.status IN ('pending', 'deferred')
                  AND d.due_at <= %s)
"""

_DETAILS = """
SELECT d.id, d.channel, d.attempt_count, d.attempts_forgiven, d.address, n.id, n.user_id,
       n.expires_at, n.cancelled_at, r.id, r.organization_id, r.event_type_id, r.template_id,
       o.name, o.locale, o.catalog_revision, o.track_opens, o.track_clicks, o.sends_per_minute,
       u.email, u.phone, u.first_name, u.last_name, u.locale, u.time_zone, u.attributes::text,
       coalesce(u.allow_tracking, true), u.is_active AND m.is_active,
       EXISTS (SELECT 1 FROM notifications_suppression s
                WHERE s.organization_id = d.organization_id AND s.channel = d.channel
                  AND s.address_index = CASE WHEN d.address_index <> '' THEN d.address_index
                                             WHEN d.channel = 'sms' THEN u.phone_index ELSE u.email_index END
                  AND (s.expires_at IS NULL OR s.expires_at > now())),
       o.is_active, r.critical, d.priority, d.reason, d.provider, d.account,
       -- When it may first have left, if a provider is to be asked for it again.
       CASE WHEN d.reason = 'same_provider' THEN (
         SELECT min(a.started_at) FROM notifications_deliveryattempt a
          WHERE a.delivery_id = d.id AND a.outcome IN ('', 'unknown')) END,
       CASE WHEN d.decision->>'action' = 'defer' AND NOT r.critical THEN d.decision::text END,
       d.created_at, n.title <> ''
  FROM notifications_delivery d
  JOIN notifications_notification n ON n.id = d.notification_id
  JOIN notifications_notificationrequest r ON r.id = n.request_id
  JOIN accounts_organization o ON o.id = d.organization_id
  LEFT JOIN accounts_user u ON u.id = n.user_id
  LEFT JOIN accounts_membership m ON m.organization_id = d.organization_id AND m.user_id = n.user_id
 WHERE d.id = ANY(%s)
"""

_REQUESTS = """
SELECT id, data::text, content::text, mail::text FROM notifications_notificationrequest WHERE id = ANY(%s)
"""

# Only what is still to be sent: a receipt may have told meanwhile that an earlier try has arrived.
_BEGUN = """
INSERT INTO notifications_deliveryattempt
  (id, delivery_id, number, provider, account, started_at, outcome, detail, provider_message_id)
SELECT a.id, a.delivery_id, a.number, %s, %s, %s, '', '', ''
  FROM unnest(%s::uuid[], %s::uuid[], %s::smallint[]) AS a(id, delivery_id, number)
  JOIN notifications_delivery d ON d.id = a.delivery_id AND d.status = 'sending' AND d.lease_token = %s
RETURNING delivery_id
"""

_EXTEND = """
UPDATE notifications_delivery SET lease_until = %s
 WHERE id = ANY(%s) AND status = 'sending' AND lease_token = %s RETURNING id
"""

# A receipt may be quicker than the provider's answer: a delivery that is no longer "sending" under its lease was moved
# on by one, and stays where it is.
_SETTLED = """
settled AS (
  SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::smallint[], %s::text[],
                       %s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[], %s::uuid[], %s::text[])
    AS s(id, attempt_id, status, reason, due_at, attempts, outcome, error, provider, account, provider_message_id,
         segments, version_id, decision)
),
attempted AS (
  UPDATE notifications_deliveryattempt a
     SET finished_at = %s, outcome = CASE WHEN a.outcome = 'sent' THEN a.outcome ELSE s.outcome END, detail = s.error,
         provider_message_id = CASE WHEN s.provider_message_id = '' THEN a.provider_message_id
                                    ELSE s.provider_message_id END
    FROM settled s WHERE a.id = s.attempt_id
)
UPDATE notifications_delivery d
   SET status = CASE WHEN d.status IN ('sending', 'unknown') THEN s.status ELSE d.status END,
       reason = CASE WHEN d.status IN ('sending', 'unknown') THEN s.reason ELSE d.reason END,
       due_at = coalesce(s.due_at, d.due_at), attempt_count = s.attempts,
       error = CASE WHEN d.status IN ('sending', 'unknown') THEN s.error ELSE d.error END,
       provider = CASE WHEN d.status IN ('sending', 'unknown') OR d.provider = '' THEN s.provider ELSE d.provider END,
       account = CASE WHEN d.status IN ('sending', 'unknown') OR d.provider = '' THEN s.account ELSE d.account END,
       provider_message_id = CASE WHEN d.status IN ('sending', 'unknown') OR d.provider_message_id = ''
                                  THEN s.provider_message_id ELSE d.provider_message_id END,
       segments = coalesce(s.segments, d.segments),
       template_version_id = coalesce(s.version_id, d.template_version_id),
       decision = coalesce(s.decision::jsonb, d.decision),
       sent_at = CASE WHEN s.status = 'sent' THEN %s ELSE d.sent_at END,
       settled_at = CASE WHEN s.status IN ('pending', 'deferred', 'in_digest') AND d.status IN ('sending', 'unknown')
                         THEN NULL ELSE %s END,
       lease_until = NULL, lease_token = NULL
  FROM settled s
 WHERE d.id = s.id AND (d.lease_token = %s OR (s.attempt_id IS NOT NULL AND d.status = 'unknown'
                                               AND d.reason = 'worker_lost' AND d.attempt_count = s.attempts))
RETURNING d.id, d.status = s.status AND d.reason = s.reason AS is_changed
"""
_SETTLE = "WITH " + _SETTLED
# One trip and one commit less per slice.
_SETTLE_AND_BEGIN = (
    "WITH begun AS ("  # noqa: S608 - constants only
    + _BEGUN
    + "),"
    + _SETTLED.replace(
        ")\nUPDATE notifications_delivery d", "),\nchanged AS (\nUPDATE notifications_delivery d"
    )
    + ") SELECT delivery_id, NULL::boolean FROM begun UNION ALL SELECT id, is_changed FROM changed"
)
assert "changed AS (" in _SETTLE_AND_BEGIN
# An attempt that failed while the same worker goes on with the delivery: the delivery stays as it is.
_CLOSE = """
UPDATE notifications_deliveryattempt a SET finished_at = %s, outcome = c.outcome, detail = c.detail
  FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS c(id, outcome, detail) WHERE a.id = c.id
"""

# ``may_have_left``: nobody knows whether somebody has it. ``askable``: but its provider recognises a second try.
_RESCUE = """
WITH held AS (
  SELECT d.id, t.duplicates_allowed, d.attempts_forgiven, d.provider, d.account,
         d.reason = 'same_provider' AND d.account <> '' AS pinned,
         open.id AS open_attempt, open.provider AS open_provider, open.account AS open_account,
         greatest(d.attempt_count + 1, (SELECT max(a.number) FROM notifications_deliveryattempt a
                                         WHERE a.delivery_id = d.id)) AS attempts
    FROM notifications_delivery d
    JOIN notifications_notification n ON n.id = d.notification_id
    JOIN notifications_eventtype t ON t.id = n.event_type_id
    LEFT JOIN LATERAL (SELECT a.id, a.provider, a.account FROM notifications_deliveryattempt a
                        WHERE a.delivery_id = d.id AND a.finished_at IS NULL LIMIT 1) open ON true
   WHERE d.status = 'sending' AND d.lease_until < %(now)s
   ORDER BY d.lease_until LIMIT 1000 FOR UPDATE OF d SKIP LOCKED
),
lost AS (
  SELECT held.*, attempts - attempts_forgiven >= %(limit)s AS used_up,
         (open_attempt IS NOT NULL OR pinned) AND NOT duplicates_allowed AS may_have_left,
         CASE WHEN open_attempt IS NULL THEN pinned ELSE open_provider = ANY(%(idempotent)s) END AS askable
    FROM held
),
closed AS (
  UPDATE notifications_deliveryattempt a SET finished_at = %(now)s, outcome = 'unknown', detail = 'The worker died.'
    FROM lost WHERE a.id = lost.open_attempt
)
UPDATE notifications_delivery d
   SET status = CASE WHEN lost.may_have_left AND (lost.used_up OR NOT lost.askable) THEN 'unknown'
                     WHEN lost.used_up THEN 'dead'
                     ELSE 'pending' END,
       reason = CASE WHEN lost.may_have_left AND (lost.used_up OR NOT lost.askable) THEN 'worker_lost'
                     WHEN lost.used_up THEN 'exhausted'
                     WHEN lost.may_have_left THEN 'same_provider'
                     WHEN lost.open_attempt IS NULL THEN d.decision->>'reason'
                     ELSE 'worker_lost' END,
       provider = CASE WHEN lost.may_have_left AND lost.open_attempt IS NOT NULL THEN lost.open_provider
                       ELSE d.provider END,
       account = CASE WHEN lost.may_have_left AND lost.open_attempt IS NOT NULL THEN lost.open_account
                      ELSE d.account END,
       attempt_count = lost.attempts,
       settled_at = CASE WHEN lost.used_up OR (lost.may_have_left AND NOT lost.askable) THEN %(now)s END,
       lease_until = NULL, lease_token = NULL
  FROM lost WHERE d.id = lost.id
RETURNING d.id, d.organization_id, d.status, d.reason
"""


@dataclass(slots=True)
class Settled:
    """How one delivery ended, or when it is to be tried again: ``status`` pending or deferred, and ``due_at``.

    ``decision`` stands instead of what was decided before. With ``digest`` it goes there (``status`` in_digest);
    ``text`` is what the digest says of it, where that was not filled in yet.
    """

    delivery_id: uuid.UUID
    organization_id: uuid.UUID
    status: DeliveryStatus
    reason: Reason
    attempts: int
    attempt_id: uuid.UUID | None = None
    due_at: dt.datetime | None = None
    outcome: Outcome | None = None
    error: str = ""
    provider: str = ""
    account: str = ""
    provider_message_id: str = ""
    segments: int | None = None
    version_id: uuid.UUID | None = None
    decision: Mapping[str, Any] | None = None
    digest: Collected | None = None
    text: InAppText | None = None


@dataclass(slots=True)
class Lease:
    """A claim on a batch: who holds it, and until when (UTC)."""

    token: uuid.UUID
    until: dt.datetime


def claim(channel: str, priority: int, *, now: dt.datetime, limit: int) -> tuple[Lease, list[uuid.UUID]]:
    """Take up to ``limit`` due deliveries, fairly between organizations; nobody else gets them meanwhile."""
    lease = Lease(new_id(), now + settings.DELIVERY_LEASE)
    rows = sql.run(
        _CLAIM,
        {
            "channel": channel,
            "priority": priority,
            "now": now,
            "limit": limit,
            "lease": lease.until,
            "token": lease.token,
        },
    )
    return lease, [row[0] for row in rows]


class Details(NamedTuple):
    """What is needed to send one delivery; the columns of ``_DETAILS``."""

    delivery_id: uuid.UUID
    channel: str
    attempts: int
    forgiven: int
    address: str
    notification_id: uuid.UUID
    user_id: uuid.UUID | None
    expires_at: dt.datetime | None
    cancelled_at: dt.datetime | None
    request_id: uuid.UUID
    organization_id: uuid.UUID
    event_type_id: uuid.UUID
    template_id: uuid.UUID | None
    organization_name: str
    organization_locale: str
    catalog_revision: int
    track_opens: bool
    track_clicks: bool
    sends_per_minute: int | None
    email: str | None
    phone: str | None
    first_name: str | None
    last_name: str | None
    locale: str | None
    time_zone: str | None
    attributes: str | None
    allow_tracking: bool
    active: bool | None
    suppressed: bool
    organization_active: bool
    critical: bool
    priority: int
    reason: str
    provider: str
    account: str
    may_have_left_at: dt.datetime | None
    put_off: str | None  # why it was decided to wait, as JSON: what may have changed since is weighed again
    created_at: dt.datetime
    has_text: bool

    @property
    def is_pinned(self) -> bool:
        """Whether one account may have sent it already, and nobody else may be asked."""
        return self.reason == Reason.SAME_PROVIDER and self.account != ""


class RequestTexts(NamedTuple):
    """What all deliveries of a request share, each as JSON text."""

    data: str
    content: str | None
    mail: str | None


def details(delivery_ids: Sequence[uuid.UUID]) -> list[Details]:
    """What is needed to send each delivery."""
    return [Details._make(row) for row in sql.run(_DETAILS, (list(delivery_ids),))]


def request_texts(request_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, RequestTexts]:
    """What is common to each request: with 500 recipients it is read once."""
    return {row[0]: RequestTexts._make(row[1:]) for row in sql.run(_REQUESTS, (list(request_ids),))}


def due_pairs(channels: Sequence[str], *, now: dt.datetime) -> list[tuple[str, int]]:
    """The (channel, priority) pairs for which something is due."""
    return [(row[0], row[1]) for row in sql.run(_DUE, (list(channels), now))]


@dataclass(slots=True)
class Beginning:
    """The attempts of one slice, all through one account; ``numbers`` count from 1 per delivery.

    ``begun`` are the deliveries whose attempts were written: the rest is no longer ours, or no longer to be sent.
    """

    delivery_ids: list[uuid.UUID]
    numbers: list[int]
    provider: str
    account: str = ""
    ids: list[uuid.UUID] = field(default_factory=list)
    begun: set[uuid.UUID] = field(default_factory=set)

    def params(self, lease: Lease, now: dt.datetime) -> tuple[Any, ...]:
        self.ids = [new_id() for _ in self.delivery_ids]
        return self.provider, self.account, now, self.ids, self.delivery_ids, self.numbers, lease.token


def start(lease: Lease, beginning: Beginning, *, now: dt.datetime) -> None:
    """Write down that these attempts begin. The sending comes after this."""
    beginning.begun = {row[0] for row in sql.run(_BEGUN, beginning.params(lease, now))}


def extend(lease: Lease, delivery_ids: Sequence[uuid.UUID], *, now: dt.datetime) -> set[uuid.UUID]:
    """Renew the lease of these deliveries; returns those that are still ours."""
    until = now + settings.DELIVERY_LEASE
    return {row[0] for row in sql.run(_EXTEND, (until, list(delivery_ids), lease.token))}


def settle(
    lease: Lease, settled: Sequence[Settled], *, now: dt.datetime, then: Beginning | None = None
) -> set[uuid.UUID]:
    """Record how deliveries and their attempts ended, and that the attempts of ``then`` begin, in one statement.

    Returns the deliveries that this has changed: a receipt may have been quicker, or somebody else has the lease now. A
    worker so slow that its lease ran out still knows best what became of its own attempt.
    """
    if not settled:
        if then is not None:
            start(lease, then, now=now)
        return set()
    columns = (
        [one.delivery_id for one in settled],
        [one.attempt_id for one in settled],
        [one.status.value for one in settled],
        [one.reason.value for one in settled],
        [one.due_at for one in settled],
        [one.attempts for one in settled],
        [one.outcome.value if one.outcome else "" for one in settled],
        [_storable(one.error) for one in settled],
        [one.provider for one in settled],
        [one.account for one in settled],
        [_storable(one.provider_message_id) for one in settled],
        [one.segments for one in settled],
        [one.version_id for one in settled],
        [orjson.dumps(one.decision).decode() if one.decision is not None else None for one in settled],
    )
    params = (*columns, now, now, now, lease.token)
    if then is None:
        return {id_ for id_, is_changed in sql.run(_SETTLE, params) if is_changed}
    rows = sql.run(_SETTLE_AND_BEGIN, (*then.params(lease, now), *params))
    then.begun = {id_ for id_, is_changed in rows if is_changed is None}
    return {id_ for id_, is_changed in rows if is_changed}


def close_attempts(closed: Sequence[tuple[uuid.UUID, Outcome, str]], *, now: dt.datetime) -> None:
    """Record how attempts (id, outcome, detail) ended whose deliveries this worker goes on with."""
    if closed:
        columns = ([c[0] for c in closed], [c[1].value for c in closed], [_storable(c[2]) for c in closed])
        sql.run(_CLOSE, (now, *columns))


def _storable(text: str) -> str:
    """What a provider said, without what PostgreSQL cannot hold: it must not keep the outcome from being written."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


class Rescued(NamedTuple):
    """A delivery that a dead worker held, as it is now."""

    delivery_id: uuid.UUID
    organization_id: uuid.UUID
    status: str
    reason: str


def rescue(*, now: dt.datetime, idempotent: Sequence[str] = ()) -> list[Rescued]:
    """Take back what dead workers held.

    Without an attempt it is simply due again. With one, nobody knows whether it was sent: a provider of
    ``idempotent`` is asked again with the same key; else it is parked as ``unknown``, unless its event type says
    that rather twice than never. A death counts as an attempt, so that a delivery that kills whoever takes it
    becomes a dead letter in the end.
    """
    params = {"now": now, "limit": settings.EMAIL_MAX_RETRIES, "idempotent": list(idempotent)}
    return [Rescued._make(row) for row in sql.run(_RESCUE, params)]
