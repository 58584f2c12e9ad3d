"""Whether the records of consent are whole: every seal follows from the one before, and the switches agree."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from django.conf import settings
from django.db import transaction

from accounts.models import User
from notifications.models import ConsentRecord, Preference, PreferenceScope
from notifications.services.consents import seal_of

CHUNK = 1_000  # rows in memory at a time
CHANGED = "The record was changed, or one before it was changed or taken out."
CONTRADICTED = (
    "The switch says something else than the last record about it: one was taken out, or the switch changed."
)
UNPROVEN = "There is no record of this switch, which was set since records are kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """What does not hold. ``who`` is a user's id or a bare address's index; ``record_id`` is None where the switch
    ``matter`` (scope, key, channel) lacks its record."""

    who: str
    record_id: uuid.UUID | None
    matter: str
    problem: str


def verify(organization_id: uuid.UUID) -> list[Broken]:
    """Everything that does not hold in an organization; empty when all is well.

    The end of a chain has nothing after it: that a last record is missing shows by the switch that it was about.
    """
    return [*_broken_chains(organization_id), *_unproven_switches(organization_id)]


def _broken_chains(organization_id: uuid.UUID) -> Iterator[Broken]:
    rows = ConsentRecord.objects.for_organization(organization_id).order_by("user_id", "address_index", "id")
    for who, chain in groupby(
        rows.iterator(chunk_size=CHUNK), key=lambda row: str(row.user_id or row.address_index)
    ):
        before = ""
        for row in chain:
            if not _holds(row, before):
                yield Broken(who=who, record_id=row.id, matter=_matter(row), problem=CHANGED)
            before = row.seal


def _holds(row: ConsentRecord, before: str) -> bool:
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(seal_of(row, before, secret=secret) == row.seal for secret in secrets)


def _unproven_switches(organization_id: uuid.UUID) -> Iterator[Broken]:
    records = ConsentRecord.objects.for_organization(organization_id)
    first = records.order_by("id").first()
    rows = (
        Preference.objects.for_organization(organization_id)
        .filter(user__isnull=False)
        .select_related("category", "event_type")
        .order_by("user_id")
    )
    for user_id, switches in groupby(rows.iterator(chunk_size=CHUNK), key=lambda row: row.user_id):
        if _suspects(list(switches), first):
            yield from _looked_at_again(organization_id, user_id, first)


def _looked_at_again(
    organization_id: uuid.UUID, user_id: uuid.UUID, first: ConsentRecord | None
) -> list[Broken]:
    """The same while nobody changes the person's switches: what was read before may be from two moments."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).only("id").filter(id=user_id).first()
        rows = Preference.objects.for_organization(organization_id).filter(user_id=user_id)
        return _suspects(list(rows.select_related("category", "event_type")), first)


def _suspects(switches: list[Preference], first: ConsentRecord | None) -> list[Broken]:
    if not switches:
        return []
    about = ConsentRecord.objects.for_organization(switches[0].organization_id).filter(
        user_id=switches[0].user_id, scope__in=PreferenceScope.values
    )
    last = {(row.scope, row.key, row.channel): row for row in about.order_by("id")}
    found = []
    for switch in switches:
        named = switch.category or switch.event_type
        record = last.get((switch.scope, named.key if named else "", switch.channel))
        is_kept = first is not None and switch.updated_at >= first.created_at
        if record is None and not is_kept:
            continue  # set before there were records
        if record is None or record.granted != switch.enabled:
            found.append(
                Broken(
                    who=str(switch.user_id),
                    record_id=record.id if record is not None else None,
                    matter=f"{switch.scope} {named.key if named else ''} {switch.channel or '*'}",
                    problem=UNPROVEN if record is None else CONTRADICTED,
                )
            )
    return found


def _matter(row: ConsentRecord) -> str:
    return f"{row.scope} {row.key} {row.channel or '*'}"
