"""Recipient lists: people and bare addresses that staff, a server or a file put together.

An address that is an active member's is entered as that member; any other stays an address. When somebody registers
with it later, a broadcast reaches them as the member that they are then.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from castcomm.common.errors import InvalidInput
from notifications.models import ListMember, RecipientList
from notifications.services.audiences.people import members_by_email, parse_people, resolve_members
from notifications.services.recipients import Reference, address_index, parse_recipients
from notifications.services.suppression_import import ImportReport, Row

MAX_ENTRIES = 10_000  # in one call
BATCH = 1_000


def add_members(*, recipient_list: RecipientList, entries: Sequence[Any]) -> int:
    """Enter people (ids) and addresses; returns how many were not there. All of them or none.

    Raises InvalidInput that names the position of the first that is wrong.
    """
    references = _parsed(entries)
    ids = [one for one in references if one.user_id]
    resolve_members(recipient_list.organization_id, ids, attr="members")
    return _enter(recipient_list, references)


def remove_members(*, recipient_list: RecipientList, entries: Sequence[Any]) -> int:
    """Take people and addresses off; returns how many were there."""
    references = _parsed(entries)
    people, _ = _told_apart(recipient_list.organization_id, references)
    # Somebody may have become a member since the address was entered.
    indexes = [address_index(one.email, one.phone) for one in references if not one.user_id]
    rows = ListMember.objects.filter(list=recipient_list)
    removed, _ = rows.filter(Q(user_id__in=people) | Q(user=None, address_index__in=indexes)).delete()
    return removed


def import_members(*, recipient_list: RecipientList, rows: Iterable[Row]) -> ImportReport:
    """Enter the addresses of a file (column ``address``); the report says which were not taken, and why."""
    report = ImportReport()
    batch: list[Reference] = []
    for row in rows:
        try:
            given = str(row.fields.get("address") or "").strip()
            if not given:
                raise InvalidInput("This is needed.", attr="address", code="required")
            batch.append(
                parse_recipients([{"phone": given} if given.startswith("+") else {"email": given}])[0]
            )
        except InvalidInput as error:
            error.attr = "address"
            report.refuse(row.line, error)
        if len(batch) >= BATCH:
            _enter_into(report, recipient_list, batch)
            batch = []
    if batch:
        _enter_into(report, recipient_list, batch)
    return report


def _enter_into(report: ImportReport, recipient_list: RecipientList, batch: list[Reference]) -> None:
    added = _enter(recipient_list, batch)
    report.added += added
    report.unchanged += len(batch) - added


def _parsed(entries: Sequence[Any]) -> list[Reference]:
    return parse_people(entries, attr="members", most=MAX_ENTRIES)


def _enter(recipient_list: RecipientList, references: Sequence[Reference]) -> int:
    people, addresses = _told_apart(recipient_list.organization_id, references)
    rows = [ListMember(list=recipient_list, user_id=user_id) for user_id in sorted(people)]
    rows += [
        ListMember(list=recipient_list, address=addresses[index], address_index=index)
        for index in sorted(addresses)
    ]
    with transaction.atomic():
        # One writer at a time, so that what was new can be counted.
        RecipientList.objects.select_for_update(no_key=True).get(id=recipient_list.id)
        before = ListMember.objects.filter(list=recipient_list).count()
        ListMember.objects.bulk_create(rows, ignore_conflicts=True, batch_size=BATCH)
        return ListMember.objects.filter(list=recipient_list).count() - before


def _told_apart(
    organization_id: uuid.UUID, references: Sequence[Reference]
) -> tuple[set[uuid.UUID], dict[str, str]]:
    """The users, and the bare addresses by their index: an active member's address is that user."""
    by_email = members_by_email(organization_id, references)
    people = {one.user_id for one in references if one.user_id} | set(by_email.values())
    addresses = {
        address_index(one.email, one.phone): one.email or one.phone
        for one in references
        if not one.user_id and one.email not in by_email
    }
    return people, addresses
