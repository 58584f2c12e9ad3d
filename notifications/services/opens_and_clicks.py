"""What the tracking links and pictures of our own mails saw, as receipts.

A receipt says which mail and which link, and whether it was a machine. No address, no user agent and no cookie is
kept. The same thing again on the same day is the same event.
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass

from django.conf import settings

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from notifications.models import TrackedLink
from notifications.services.automatic_readers import Reader, automatic_reader
from notifications.services.receipts import record_receipts
from notifications.vocabulary import ReceiptKind
from notifications.webhooks.base import Receipt

PROVIDER = "castcomm"
# Nobody reads a mail and clicks in it sooner after it was sent.
HASTE = dt.timedelta(seconds=3)
# Within so much of its sending, two different links of a mail clicked within ``BURST`` are a scanner's work.
SCANNED_WITHIN = dt.timedelta(minutes=5)
BURST = dt.timedelta(seconds=3)
KEPT_URLS = 5_000

_FACTS = """
SELECT coalesce(d.delivered_at, d.sent_at), o.track_opens, o.track_clicks, coalesce(u.allow_tracking, true),
       EXISTS (SELECT 1 FROM notifications_providerevent e
                WHERE e.delivery_id = d.id AND e.provider = 'castcomm' AND e.kind = 'clicked'
                  AND e.occurred_at > %(since)s AND e.payload->>'link' <> %(link)s)
  FROM notifications_delivery d
  JOIN accounts_organization o ON o.id = d.organization_id
  JOIN notifications_notification n ON n.id = d.notification_id
  LEFT JOIN accounts_user u ON u.id = n.user_id
 WHERE d.id = %(delivery)s
"""

_EARLIER_WAS_AUTOMATIC = """
UPDATE notifications_providerevent SET is_automatic = true, detail = %s
 WHERE delivery_id = %s AND provider = 'castcomm' AND kind = 'clicked' AND occurred_at > %s AND NOT is_automatic
"""


@dataclass(frozen=True, slots=True)
class _Facts:
    sent_at: dt.datetime | None
    track_opens: bool
    track_clicks: bool
    allow_tracking: bool
    clicked_elsewhere: bool


_urls: OrderedDict[uuid.UUID, str] = OrderedDict()
_urls_lock = threading.Lock()


def url_of(link_id: uuid.UUID) -> str | None:
    """What a link leads to, or None when it is gone. Remembered, so that a mailing's links need no query each.

    Raises Django's database errors.
    """
    with _urls_lock:
        if link_id in _urls:
            _urls.move_to_end(link_id)
            return _urls[link_id]
    url: str | None = TrackedLink.objects.filter(id=link_id).values_list("url", flat=True).first()
    if url is not None:
        with _urls_lock:
            _urls[link_id] = url
            while len(_urls) > KEPT_URLS:
                _urls.popitem(last=False)
    return url


def forget_urls() -> None:
    """Ask the database again."""
    with _urls_lock:
        _urls.clear()


def record_open(*, delivery_id: uuid.UUID, reader: Reader) -> None:
    """The picture of this mail was fetched."""
    now = current_time()
    facts = _facts(delivery_id, "", now)
    if facts is None or not (facts.track_opens and facts.allow_tracking):
        return
    machine = automatic_reader(reader)
    _record(ReceiptKind.OPENED, delivery_id, "", machine, now)


def record_click(*, delivery_id: uuid.UUID, link_id: uuid.UUID, reader: Reader) -> None:
    """This link of this mail was followed."""
    now = current_time()
    facts = _facts(delivery_id, str(link_id), now)
    if facts is None or not (facts.track_clicks and facts.allow_tracking):
        return
    machine = automatic_reader(reader)
    age = now - facts.sent_at if facts.sent_at is not None else None
    if not machine and age is not None and age < HASTE:
        machine = "a scanner: too quick for a person"
    if not machine and facts.clicked_elsewhere and (age is None or age < SCANNED_WITHIN):
        machine = "a scanner: several links at once"
        sql.run(_EARLIER_WAS_AUTOMATIC, (machine, delivery_id, now - BURST))
    _record(ReceiptKind.CLICKED, delivery_id, str(link_id), machine, now)


def _facts(delivery_id: uuid.UUID, link: str, now: dt.datetime) -> _Facts | None:
    if not settings.TRACKING_ENABLED:
        return None
    rows = sql.run(_FACTS, {"delivery": delivery_id, "link": link, "since": now - BURST})
    return _Facts(*rows[0]) if rows else None


def _record(kind: ReceiptKind, delivery_id: uuid.UUID, link: str, machine: str, now: dt.datetime) -> None:
    # A machine's event is another than a person's: the scanner that came first must not hide who clicks later.
    who = "machine" if machine else "person"
    receipt = Receipt(
        provider=PROVIDER,
        account="",
        event_key=f"{kind.value}:{delivery_id}:{link}:{now:%Y-%m-%d}:{who}",
        kind=kind,
        delivery_id=delivery_id,
        occurred_at=now,
        detail=machine,
        payload={"link": link} if link else {},
        is_automatic=bool(machine),
    )
    record_receipts([receipt])
