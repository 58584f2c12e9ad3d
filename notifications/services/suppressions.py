"""The suppression list: addresses to which nothing is sent any more, and how they come on it and off it.

An entry never becomes weaker by adding one: who may add an address, but not take one off, cannot take one off that way.
A complaint stays one when the same person also unsubscribes: taking back the unsubscription must not let mail go there
again. Reasons from weak to strong: unsubscribe, bounce, complaint, manual. No end is brought nearer: what would end
earlier than the entry that is there changes nothing. What ends later moves the end; the stronger reason of both stays,
but what has no end replaces what has one. An entry whose end has passed gives way to any other.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db import transaction

from accounts.models import Organization
from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.crypto import encrypt
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from castcomm.common.prepared import Row
from notifications.models import Suppression, SuppressionReason
from notifications.rendering.sandbox import storable
from notifications.services.delivery_news import tell_of_suppressions
from notifications.services.recipients import address_index, normalize_email, normalize_phone
from notifications.vocabulary import Channel

SUPPRESSIBLE = (Channel.EMAIL, Channel.SMS)
MAX_DETAIL = 1_000  # characters

# From weak to strong.
STRENGTH = (
    SuppressionReason.UNSUBSCRIBE,
    SuppressionReason.BOUNCE,
    SuppressionReason.COMPLAINT,
    SuppressionReason.MANUAL,
)

_RANK = "array_position(%(strength)s::text[], {}::text)"
_IS_AS_STRONG = f"{_RANK.format('excluded.reason')} >= {_RANK.format('s.reason')}"
_IS_LONGER = "coalesce(excluded.expires_at, 'infinity') > coalesce(s.expires_at, 'infinity')"
_IS_AS_LONG = "coalesce(excluded.expires_at, 'infinity') >= coalesce(s.expires_at, 'infinity')"
_IS_OVER = "coalesce(s.expires_at <= %(now)s, false)"
# Whether the new reason counts too: what has no end replaces what has one.
_IS_OURS = f"{_IS_OVER} OR {_IS_AS_STRONG} OR excluded.expires_at IS NULL"
_PUT = f"""
INSERT INTO notifications_suppression AS s
  (id, created_at, organization_id, channel, address, address_index, reason, detail, expires_at)
SELECT g.id, %(now)s, %(organization)s, g.channel, g.address, g.address_index, g.reason, g.detail, g.expires_at
  FROM unnest(%(ids)s::uuid[], %(channels)s::text[], %(addresses)s::text[], %(indexes)s::text[], %(reasons)s::text[],
              %(details)s::text[], %(ends)s::timestamptz[])
    AS g(id, channel, address, address_index, reason, detail, expires_at)
    ON CONFLICT (organization_id, channel, address_index) DO UPDATE
   SET reason = CASE WHEN {_IS_OURS} THEN excluded.reason ELSE s.reason END,
       detail = CASE WHEN {_IS_OURS} THEN excluded.detail ELSE s.detail END,
       expires_at = excluded.expires_at
 WHERE {_IS_OVER} OR {_IS_LONGER} OR ({_IS_AS_LONG} AND {_IS_AS_STRONG})
RETURNING s.xmax = 0, s.channel, s.address_index, s.reason, s.expires_at
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A checked entry: ``address`` in its normal form with its blind index."""

    channel: str
    address: str
    index: str
    reason: str
    detail: str = ""
    expires_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """How many addresses are new on the list, how many entries were changed, and for how many of the addresses the
    list keeps a stronger reason or a later end than was given."""

    added: int = 0
    changed: int = 0
    kept: int = 0


def suppress_address(
    *,
    organization: Organization,
    channel: str,
    address: str,
    reason: str = SuppressionReason.MANUAL,
    detail: str = "",
    expires_at: dt.datetime | None = None,
) -> Suppression:
    """Put an e-mail address or phone number on the list; one that is there never becomes weaker by that (see above).
    Returns the entry as it is then.

    Deliveries that wait are held back too: dispatch looks again. Raises InvalidInput that names the field.
    """
    entry = checked_entry(
        channel=channel, address=address, reason=reason, detail=detail, expires_at=expires_at
    )
    put_on_list(organization_id=organization.id, entries=[entry])
    return Suppression.objects.get(
        organization_id=organization.id, channel=entry.channel, address_index=entry.index
    )


def checked_entry(
    *, channel: str, address: str, reason: str, detail: str, expires_at: dt.datetime | None
) -> Entry:
    """An entry for the list; raises InvalidInput that names the field."""
    address, index = check_address(channel, address)
    if reason not in SuppressionReason.values:
        known = ", ".join(SuppressionReason.values)
        raise InvalidInput(f"There is no reason {reason!r}; there are {known}.", attr="reason")
    if "\x00" in detail or not storable(detail):
        raise InvalidInput("Text may not contain NUL or half a surrogate pair.", attr="detail")
    check_end(expires_at)
    return Entry(
        channel=str(channel),
        address=address,
        index=index,
        reason=str(reason),
        detail=detail[:MAX_DETAIL],
        expires_at=expires_at,
    )


def put_on_list(*, organization_id: uuid.UUID, entries: Sequence[Entry]) -> Listed:
    """Write entries in one statement.

    Several entries for one address count as one, as if they were put there one after the other.
    """
    by_address: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        known = by_address.get((entry.channel, entry.index))
        by_address[entry.channel, entry.index] = _both(known, entry) if known else entry
    # In one order always, so that two calls with the same addresses do not wait for each other.
    rows = [by_address[key] for key in sorted(by_address)]
    if not rows:
        return Listed()
    with transaction.atomic():
        written = _write(organization_id, rows)
        added = [by_address[channel, index] for is_new, channel, index, _, _ in written if is_new]
        tell_of_suppressions(organization_id=organization_id, added=added, occurred_at=current_time())
    as_given = sum(
        (reason, ends) == (by_address[channel, index].reason, by_address[channel, index].expires_at)
        for _, channel, index, reason, ends in written
    )
    return Listed(added=len(added), changed=len(written) - len(added), kept=len(rows) - as_given)


def _write(organization_id: uuid.UUID, rows: Sequence[Entry]) -> list[Row]:
    return sql.run(
        _PUT,
        {
            "now": current_time(),
            "organization": organization_id,
            "strength": [one.value for one in STRENGTH],
            "ids": [new_id() for _ in rows],
            "channels": [one.channel for one in rows],
            "addresses": [encrypt(one.address) for one in rows],
            "indexes": [one.index for one in rows],
            "reasons": [one.reason for one in rows],
            "details": [one.detail for one in rows],
            "ends": [one.expires_at for one in rows],
        },
    )


def _both(known: Entry, entry: Entry) -> Entry:
    """What is left of an entry after another: the same as in the statement."""
    is_as_strong = _strength(entry) >= _strength(known)
    if known.expires_at is None or (entry.expires_at and entry.expires_at < known.expires_at):
        return entry if entry.expires_at == known.expires_at and is_as_strong else known
    return entry if is_as_strong or entry.expires_at is None else replace(known, expires_at=entry.expires_at)


def _strength(entry: Entry) -> int:
    return STRENGTH.index(SuppressionReason(entry.reason))


def check_address(channel: str, address: str) -> tuple[str, str]:
    """The address in its normal form and its blind index; raises InvalidInput that names the field."""
    if channel == Channel.EMAIL:
        email = normalize_email(address, attr="address")
        return email, address_index(email, "")
    if channel == Channel.SMS:
        phone = normalize_phone(address, attr="address")
        return phone, address_index("", phone)
    raise InvalidInput("Only e-mail addresses and phone numbers can be suppressed.", attr="channel")


def change_suppression(
    *, suppression: Suppression, detail: str, expires_at: dt.datetime | None
) -> Suppression:
    """Change the note and the end of an entry; the address and why it came on the list stay."""
    if expires_at != suppression.expires_at:
        check_end(expires_at)
    suppression.detail = detail
    suppression.expires_at = expires_at
    suppression.save(update_fields=["detail", "expires_at"])
    return suppression


def check_end(expires_at: dt.datetime | None) -> None:
    """Raises InvalidInput when the end of a suppression has passed."""
    if expires_at is not None and expires_at <= current_time():
        raise InvalidInput("This moment has passed.", attr="expires_at")


def lift_suppression(*, suppression: Suppression) -> None:
    """Take an address off the list: it can be sent to again from now on."""
    suppression.delete()


def lift_unsubscription(*, organization_id: uuid.UUID, channel: str, address: str) -> bool:
    """Take an address off the list if it is there because the person unsubscribed; any other reason stays.

    Returns whether it was there for that reason. Raises InvalidInput for what is no address.
    """
    _, index = check_address(channel, address)
    lifted, _ = Suppression.objects.filter(
        organization_id=organization_id,
        channel=channel,
        address_index=index,
        reason=SuppressionReason.UNSUBSCRIBE,
    ).delete()
    return bool(lifted)
