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

from accounts.models import Membership
from castcomm.common.errors import InvalidInput
from notifications.models import ListMember, RecipientList
from notifications.services.audiences.topics import resolve_members
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
    people, addresses = _told_apart(recipient_list.organization_id, _parsed(entries))
    indexes = list(addresses)
    # Somebody may have become a member since the address was entered, or have left.
    indexes += [address_index(one.email, one.phone) for one in _parsed(entries) if not one.user_id]
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
    try:
        references = parse_recipients(entries)
    except InvalidInput as error:
        error.attr = (error.attr or "").replace("recipients", "members", 1)
        raise
    if len(references) > MAX_ENTRIES:
        raise InvalidInput(f"At most {MAX_ENTRIES} entries in one call.", attr="members", code="too_many")
    return references


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
    emails = [one.email for one in references if one.email]
    members = Membership.objects.filter(
        organization_id=organization_id, is_active=True, user__is_active=True, user__email__in=emails
    )
    by_email = dict(members.values_list("user__email", "user_id"))
    people = {one.user_id for one in references if one.user_id} | set(by_email.values())
    addresses = {
        address_index(one.email, one.phone): one.email or one.phone
        for one in references
        if not one.user_id and one.email not in by_email
    }
    return people, addresses
