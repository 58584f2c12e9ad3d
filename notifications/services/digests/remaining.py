"""What of a digest is still wanted at the moment at which it closes."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from notifications.services.catalog import Catalog
from notifications.services.digests.windows import Item, Settled, Window
from notifications.services.planning import decision_json, routing_facts
from notifications.services.recipients import Person
from notifications.services.routing import Action, Decision, decide
from notifications.vocabulary import DeliveryStatus, Reason


@dataclass(slots=True)
class Remaining:
    """Decides for each item of a batch whether it goes out: what it says to one event type is asked once a person."""

    catalog: Catalog
    people: Mapping[uuid.UUID, Person]
    now: dt.datetime
    _decided: dict[tuple[uuid.UUID, uuid.UUID, str], Decision] = field(default_factory=dict)

    def refusal(self, item: Item, window: Window) -> Settled | None:
        """How the item ends that does not go out any more; None for one that does."""
        settled = _plain_refusal(item, window, self.now)
        if settled is not None:
            return Settled(item.delivery_id, *settled)
        decision = self._decision(item, window.user_id)
        if decision.action != Action.SUPPRESS:
            return None
        return Settled(item.delivery_id, DeliveryStatus.SUPPRESSED, decision.reason, decision_json(decision))

    def _decision(self, item: Item, user_id: uuid.UUID) -> Decision:
        key = (user_id, item.event_type_id, item.channel)
        if key not in self._decided:
            self._decided[key] = self._decide(*key)
        return self._decided[key]

    def _decide(self, user_id: uuid.UUID, event_type_id: uuid.UUID, channel: str) -> Decision:
        """The switches and the consent, as they are now. When it goes out is settled: with this digest.

        The address is that of the digest, whose own decision looks at it.
        """
        kind = self.catalog.event_types_by_id[event_type_id]
        wanted = routing_facts(self.people[user_id], kind, self.catalog)
        person = replace(
            wanted,
            quiet=None,
            quiet_by_channel={},
            digest=None,
            overflow=None,
            full={},
            moment=None,
            addresses=frozenset({channel}),
            suppressed=frozenset(),
        )
        return decide(
            event=kind.routing,
            person=person,
            contents=frozenset({channel}),
            now=self.now,
            requested=(channel,),
        )[0]


def _plain_refusal(item: Item, window: Window, now: dt.datetime) -> tuple[DeliveryStatus, Reason] | None:
    if item.is_cancelled:
        return DeliveryStatus.CANCELLED, Reason.CANCELLED
    if not window.organization_active:
        return DeliveryStatus.SUPPRESSED, Reason.ORGANIZATION_INACTIVE
    if not window.is_member:
        return DeliveryStatus.SUPPRESSED, Reason.RECIPIENT_INACTIVE
    if item.expires_at is not None and item.expires_at <= now:
        return DeliveryStatus.FAILED, Reason.EXPIRED
    if item.is_read:
        return DeliveryStatus.SUPPRESSED, Reason.READ_MEANWHILE
    return None
