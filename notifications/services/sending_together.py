"""Many sends of one organization, each to one member, written with one statement in the caller's transaction.

What each send is checked for, decided and rendered with is what ``send_notification`` uses; only reading the people and
writing the rows is done once for all. Where caps or good hours hold, sends depend on each other: there one is told so.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Unpack

import orjson
from django.db import transaction

from accounts.models import Organization
from castcomm.common import sql
from castcomm.common.errors import Conflict, InvalidInput
from castcomm.realtime import hub
from castcomm.realtime.topics import user_topic
from notifications.services import doorbell
from notifications.services.catalog import catalog_of
from notifications.services.digests.collecting import collect
from notifications.services.ledger import collected_of, inbox_frame, request_row, rows_of
from notifications.services.ledger_statements import WRITE_TOGETHER
from notifications.services.planning import Message, PlannedNotification, plan
from notifications.services.recipients import Reference, load_people
from notifications.services.send_checks import CheckedCall, SendOptions, check_call
from notifications.services.sending import event_type_for, message_for
from notifications.vocabulary import DeliveryStatus


class SendsTogether:
    """Sends to members of ``organization``: ``add`` each, then ``write`` all."""

    def __init__(self, organization: Organization, user_ids: Sequence[uuid.UUID]) -> None:
        references = [Reference(position, user_id=id_) for position, id_ in enumerate(user_ids)]
        self._organization = organization
        self._facts, people = load_people(organization.id, references)
        self._people = {person.user_id: person for person in people}
        self._catalog = catalog_of(organization.id, revision=self._facts.catalog_revision)
        self._added: list[tuple[Message, CheckedCall, PlannedNotification]] = []

    @property
    def are_independent(self) -> bool:
        """Whether no send of the organization depends on others before it."""
        return not self._catalog.caps and self._catalog.smart_send is None

    def add(self, user_id: uuid.UUID, **options: Unpack[SendOptions]) -> tuple[uuid.UUID, uuid.UUID]:
        """Decide one send; returns the ids of its request and notification. Raises InvalidInput."""
        call = check_call([user_id], options)
        person = self._people.get(user_id)
        if person is None:
            raise InvalidInput(f"No active member has the id {user_id}.", attr="recipients.0")
        kind, self._catalog = event_type_for(self._organization, self._catalog, call.event_type)
        message = message_for(self._organization.id, call, kind, self._catalog)
        [planned] = plan(message, people=[person], organization=self._facts, catalog=self._catalog)
        self._added.append((message, call, planned))
        return message.request_id, planned.id

    def write(self) -> None:
        """Write all of them; raises Conflict when one's idempotency key was used before."""
        if not self._added:
            return
        requests, notifications, deliveries = [], [], []
        for position, (message, call, planned) in enumerate(self._added):
            requests.append(request_row(message, data=call.encoded_data, content=call.content))
            made, sent = rows_of([planned])
            extra = {"request_id": message.request_id, "expires_at": message.expires_at, "place": position}
            notifications.append({**made[0], **extra})
            deliveries += sent
        rows = sql.run(
            WRITE_TOGETHER, [orjson.dumps(one).decode() for one in (requests, notifications, deliveries)]
        )
        if len(rows) != len(self._added):
            raise Conflict("One of these was sent before.", code="duplicate")
        planned_all = [planned for _, _, planned in self._added]
        collected = collected_of(planned_all)
        if collected:
            collect(self._organization.id, collected, now=self._added[0][0].now)
        self._announce({row[0]: row[1] for row in rows})
        self._added = []

    def _announce(self, sequences: dict[uuid.UUID, int | None]) -> None:
        added = self._added
        due = {
            (delivery.channel, message.priority)
            for message, _, planned in added
            for delivery in planned.deliveries
            if delivery.status == DeliveryStatus.PENDING
        }

        def tell() -> None:
            for channel, priority in due:
                doorbell.ring(channel, priority)
            hub.publish_many(
                (user_topic(user_id, self._organization.id), inbox_frame(message, planned, seq))
                for message, _, planned in added
                if (user_id := planned.person.user_id) is not None
                and (seq := sequences[planned.id]) is not None
            )

        transaction.on_commit(tell)
