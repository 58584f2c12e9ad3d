"""Tracking: a mail's links lead over CastComm, and a picture that nobody sees tells that it was opened.

What a link leads to is stored once per organization (``TrackedLink``); the address in the mail is a signed reference
to it. A mailing whose mails have the same links makes no query per mail: a process remembers the ids of links for the
rest of the day. ``TrackedLink.created_at`` tells when a mail last took a link, give or take ``RENEWED_AFTER`` and that
day; ``retention`` deletes links that only mails had which are long gone.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import re
import threading
import uuid
from collections import OrderedDict

from django.conf import settings
from django.db import transaction

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.ids import new_id
from notifications.rendering.anchors import Anchors, find_anchors
from notifications.rendering.sandbox import storable
from notifications.services.tracking_tokens import click_tokens, open_token

MAX_LINKS = 100  # per mail; further ones stay as they are
MAX_URL = 2_000  # characters; longer ones stay as they are
KEPT_LINKS = 20_000  # ids remembered by a process: some 5 MB
RENEWED_AFTER = dt.timedelta(days=1)  # a link need not be written for every mail
# A link that another worker stores at the same moment is seen by the next try; after these it stays untracked.
_TRIES = 3
_OWN = ("/u/", "/t/", "/preferences")
_HTTP = re.compile(r"https?://[^/?#]", re.IGNORECASE)
# What browsers take out of an address, or cannot be part of one that leads to the same place afterwards.
_REMOVED = str.maketrans("", "", "\t\n\r")
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]|https?://[^/?#]*@", re.IGNORECASE)
# Addresses that are keys themselves (a password's reset, a sign-in) are for one person and not for a table.
_SECRET = re.compile(
    r"[?&#;](?:[^=&#;]*(?:token|secret|passw|signature)[^=&#;]*|otp|sig)=|/password/reset/|/confirm-email/",
    re.IGNORECASE,
)

# In the order of their digests, so that two workers that store the same links wait for each other in one order. One
# that is due to be renewed counts only when it was: it may just be being deleted.
_STORE = """
WITH made AS (
  INSERT INTO notifications_trackedlink (id, created_at, organization_id, url, digest)
  SELECT w.id, %(now)s, %(organization)s, w.url, w.digest
    FROM unnest(%(ids)s::uuid[], %(urls)s::text[], %(digests)s::text[]) AS w(id, url, digest) ORDER BY w.digest
  ON CONFLICT (organization_id, digest) DO NOTHING RETURNING id, digest
), renewed AS (
  UPDATE notifications_trackedlink SET created_at = %(now)s
   WHERE id IN (SELECT id FROM notifications_trackedlink
                 WHERE organization_id = %(organization)s AND digest = ANY(%(digests)s) AND created_at < %(renew)s
                 ORDER BY digest FOR UPDATE)
  RETURNING id, digest
)
SELECT id, digest FROM made
UNION ALL
SELECT id, digest FROM renewed
UNION ALL
SELECT l.id, l.digest FROM notifications_trackedlink l
 WHERE l.organization_id = %(organization)s AND l.digest = ANY(%(digests)s) AND l.created_at >= %(renew)s
"""


def add_tracking(
    html: str, *, organization_id: uuid.UUID, delivery_id: uuid.UUID, opens: bool, clicks: bool
) -> str:
    """``html`` with its links leading over CastComm and the picture before ``</body>``; nothing else is changed.

    Left alone are links that are not http or https, the mail's own links to unsubscribe and to the preferences, those
    marked ``data-no-track``, those that look like keys, those too long and those beyond ``MAX_LINKS``.
    """
    if not html or not settings.TRACKING_ENABLED or not (opens or clicks):
        return html
    anchors = find_anchors(html)
    pieces: list[str] = []
    at = 0
    if clicks:
        links = _links(organization_id, anchors)
        prefix = f"{settings.PUBLIC_URL}/t/c/"
        tokens = click_tokens(delivery_id, (link_id for _, _, link_id in links))
        for (start, end, _), token in zip(links, tokens, strict=True):
            pieces += html[at:start], prefix, token
            at = end
    if opens and anchors.body_end is not None:
        pieces += _with_picture(html, at, anchors.body_end, delivery_id)
    else:
        pieces.append(html[at:])
    return "".join(pieces)


def _with_picture(html: str, at: int, body_end: int, delivery_id: uuid.UUID) -> tuple[str, str, str]:
    # A link after </body> is wrong, and works in every mail client: then the picture comes last.
    place = body_end if body_end >= at else len(html)
    source = f"{settings.PUBLIC_URL}/t/o/{open_token(delivery_id)}.gif"
    picture = f'<img src="{source}" width="1" height="1" alt="" style="border:0;width:1px;height:1px">'
    return html[at:place], picture, html[place:]


@functools.lru_cache(maxsize=4096)
def _trackable(value: str, public_url: str) -> tuple[str, bytes] | None:
    """The address as a browser would call it and its digest, or None for one that is left alone."""
    url = value.strip("\t\n\f\r ").translate(_REMOVED)
    if len(url) > MAX_URL or not _HTTP.match(url) or _UNFIT.search(url) or _SECRET.search(url):
        return None
    if url.startswith(public_url) and url.startswith(_OWN, len(public_url)):
        return None
    return (url, hashlib.sha256(url.encode()).digest()) if storable(url) else None


class _Remembered:
    """The ids of links by organization and digest; the least recently used are forgotten first."""

    def __init__(self) -> None:
        self._ids: OrderedDict[bytes, uuid.UUID] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> uuid.UUID | None:
        with self._lock:
            found = self._ids.get(key)
            if found is not None:
                self._ids.move_to_end(key)
            return found

    def put(self, key: bytes, link_id: uuid.UUID) -> None:
        with self._lock:
            self._ids[key] = link_id
            while len(self._ids) > KEPT_LINKS:
                self._ids.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._ids.clear()


remembered = _Remembered()


def _links(organization_id: uuid.UUID, anchors: Anchors) -> list[tuple[int, int, uuid.UUID]]:
    """Start, end and id of each address that is to be exchanged; unknown ones are stored, all in one statement."""
    public_url, now = settings.PUBLIC_URL, current_time()
    prefix = _prefix(organization_id, now)
    targets = [
        (start, end, target)
        for start, end, value in anchors.hrefs
        if (target := _trackable(value, public_url)) is not None
    ][:MAX_LINKS]
    ids = {digest: remembered.get(prefix + digest) for _, _, (_, digest) in targets}
    missing = {digest: url for _, _, (url, digest) in targets if ids[digest] is None}
    if missing:
        stored = _store(organization_id, missing, now)
        ids.update(stored)
        # Not before they are there for everyone: a transaction may still take them back.
        transaction.on_commit(lambda: remember(organization_id, stored, day=now))
    return [(start, end, id_) for start, end, (_, digest) in targets if (id_ := ids[digest]) is not None]


def _prefix(organization_id: uuid.UUID, day: dt.datetime) -> bytes:
    # Another day is another key: what was remembered yesterday is asked for again, and renewed.
    return organization_id.bytes + day.toordinal().to_bytes(4)


def remember(organization_id: uuid.UUID, stored: dict[bytes, uuid.UUID], *, day: dt.datetime) -> None:
    """Keep in this process, for the rest of the day, the ids of links by the digests of their addresses."""
    prefix = _prefix(organization_id, day)
    for digest, link_id in stored.items():
        remembered.put(prefix + digest, link_id)


def _store(organization_id: uuid.UUID, missing: dict[bytes, str], now: dt.datetime) -> dict[bytes, uuid.UUID]:
    found: dict[bytes, uuid.UUID] = {}
    for _ in range(_TRIES):
        wanted = [digest for digest in missing if digest not in found]
        if not wanted:
            break
        rows = sql.run(
            _STORE,
            {
                "ids": [new_id() for _ in wanted],
                "urls": [missing[digest] for digest in wanted],
                "digests": [digest.hex() for digest in wanted],
                "now": now,
                "renew": now - RENEWED_AFTER,
                "organization": organization_id,
            },
        )
        found.update({bytes.fromhex(digest): link_id for link_id, digest in rows})
    return found
