"""What routing would find of people, read once for all of them: a simulation asks the database nothing after that."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from castcomm.common import sql
from notifications.services.caps import counters
from notifications.services.catalog import Catalog, EventTypeFacts, catalog_of
from notifications.services.defaults import DIGEST, DIRECT, GENERAL
from notifications.services.recipients import OrganizationFacts, Person, Reference, load_people
from notifications.services.routing import EventFacts
from notifications.services.smart_send.moments import Histograms, histograms_of
from notifications.vocabulary import Channel, Priority

# What lifts a suppression is the last of its ends; a channel without an end is not named.
_ENDS = """
SELECT u.id, s.channel, max(s.expires_at)
  FROM accounts_user u
  JOIN notifications_suppression s
    ON s.address_index IN (u.email_index, u.phone_index) AND s.address_index <> ''
 WHERE s.organization_id = %s AND u.id = ANY(%s) AND (s.expires_at IS NULL OR s.expires_at > now())
 GROUP BY u.id, s.channel HAVING count(s.expires_at) = count(*)
"""
_WINDOWS = """
SELECT user_id, cadence, zone, closes_at, item_count FROM notifications_digestwindow
 WHERE organization_id = %s AND user_id = ANY(%s) AND status = 'open'
"""
# Stands in for the categories and event types that the first real send would make.
_NOT_YET = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A digest of somebody that is open already."""

    cadence: str
    zone: str
    closes_at: dt.datetime
    item_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The organization, its catalog, and the people with everything that routing weighs, by their ids.

    ``suppression_ends`` has the channels whose suppression will end by itself. What was counted and what waits in
    digests is as of ``read_at``.
    """

    read_at: dt.datetime
    organization_id: uuid.UUID
    organization: OrganizationFacts
    catalog: Catalog
    people: Mapping[uuid.UUID, Person]
    counters: Mapping[uuid.UUID, Mapping[counters.Key, counters.Counter]]
    histograms: Histograms
    windows: Mapping[uuid.UUID, Sequence[OpenWindow]]
    suppression_ends: Mapping[uuid.UUID, Mapping[str, dt.datetime]]


def read_surroundings(
    *, organization_id: uuid.UUID, user_ids: Sequence[uuid.UUID], now: dt.datetime
) -> Surroundings:
    """Read what routing needs of these people, all of them active members (else InvalidInput); writes nothing."""
    ids = list(dict.fromkeys(user_ids))
    facts, people = load_people(
        organization_id, [Reference(position, user_id=id_) for position, id_ in enumerate(ids)]
    )
    catalog = _with_defaults(catalog_of(organization_id, revision=facts.catalog_revision))
    kept: dict[uuid.UUID, dict[counters.Key, counters.Counter]] = {}
    if catalog.caps:
        for key, counter in counters.read(organization_id, ids, now=now).items():
            kept.setdefault(key[0], {})[key] = counter
    windows: dict[uuid.UUID, list[OpenWindow]] = {}
    for user_id, *window in sql.run(_WINDOWS, (organization_id, ids)):
        windows.setdefault(user_id, []).append(OpenWindow(*window))
    ends: dict[uuid.UUID, dict[str, dt.datetime]] = {}
    for user_id, channel, moment in sql.run(_ENDS, (organization_id, ids)):
        ends.setdefault(user_id, {})[channel] = moment
    return Surroundings(
        read_at=now,
        organization_id=organization_id,
        organization=facts,
        catalog=catalog,
        people={person.user_id: person for person in people if person.user_id is not None},
        counters=kept,
        histograms=histograms_of(organization_id, ids) if catalog.smart_send is not None else {},
        windows=windows,
        suppression_ends=ends,
    )


def _with_defaults(catalog: Catalog) -> Catalog:
    """The catalog as it is after the first send: with the event types that sending makes when they are missing."""
    by_key, by_id = dict(catalog.event_types), dict(catalog.event_types_by_id)
    for position, (key, name, channels) in enumerate(_DEFAULTS):
        if key not in by_key:
            made = _default_type(uuid.UUID(int=position + 1), key, name, channels)
            by_key[key] = by_id[made.id] = made
    return replace(catalog, event_types=by_key, event_types_by_id=by_id)


_DEFAULTS = (
    (DIRECT, "Direct message", (Channel.IN_APP.value, Channel.EMAIL.value)),
    (DIGEST, "Digest", (Channel.EMAIL.value,)),
)


def _default_type(id_: uuid.UUID, key: str, name: str, channels: tuple[str, ...]) -> EventTypeFacts:
    return EventTypeFacts(
        id=id_,
        key=key,
        name=name,
        category_id=_NOT_YET,
        category_key=GENERAL,
        template=None,
        routing=EventFacts(channels=channels),
        priority=Priority.NORMAL,
        expires_after=None,
        duplicates_allowed=False,
        notify_on_event=False,
        is_active=True,
        is_cap_exempt=key == DIGEST,
    )
