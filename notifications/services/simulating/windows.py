"""The digests of one person on a virtual clock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from castcomm.common.ids import new_id
from notifications.services.defaults import DIGEST
from notifications.services.digests.closing import digest_message
from notifications.services.digests.mail import context_of, waiting_sections
from notifications.services.digests.remaining import Remaining
from notifications.services.digests.schedule import cadence_of, closes_at, frequency_of
from notifications.services.digests.sections import Entry, Section
from notifications.services.digests.windows import Item, Window
from notifications.services.planning import Message, PlannedNotification, literal, plan
from notifications.services.policy_facts import DigestChoice
from notifications.services.recipients import Person
from notifications.services.simulating.stories import (
    SimulatedDelivery,
    SimulatedDigest,
    SimulatedNotification,
    Weighed,
)
from notifications.services.simulating.surroundings import OpenWindow, Surroundings
from notifications.vocabulary import DeliveryStatus, Reason


class SimulatedWindows:
    """A person's digests: those that are open in truth as soon as something simulated comes into them, and new ones."""

    def __init__(self, surroundings: Surroundings, user_id: uuid.UUID, *, start: dt.datetime) -> None:
        self._around = surroundings
        self._user_id = user_id
        real = surroundings.windows.get(user_id, ()) if start >= surroundings.read_at else ()
        self._real = {one.cadence: one for one in real}
        self._open: dict[str, SimulatedDigest] = {}
        self.all: list[SimulatedDigest] = []

    def collect(
        self,
        notification: SimulatedNotification,
        delivery: SimulatedDelivery,
        choice: DigestChoice,
        zone: str,
        now: dt.datetime,
    ) -> None:
        """Put a delivery into the open window of its cadence."""
        cadence = cadence_of(choice)
        digest = self._open.get(cadence)
        if digest is None:
            digest = self._open[cadence] = self._opened(cadence, choice, zone, now)
            self.all.append(digest)
        digest.items.append((notification, delivery))
        delivery.digest, delivery.due_at = digest, digest.closes_at

    def _opened(self, cadence: str, choice: DigestChoice, zone: str, now: dt.datetime) -> SimulatedDigest:
        real: OpenWindow | None = self._real.pop(cadence, None)
        if real is not None and real.closes_at > now:
            return SimulatedDigest(
                id=new_id(),
                cadence=cadence,
                zone=real.zone,
                closes_at=real.closes_at,
                waiting_before=real.item_count,
            )
        return SimulatedDigest(
            id=new_id(), cadence=cadence, zone=zone, closes_at=closes_at(choice, zone, now)
        )

    def next_close(self) -> dt.datetime | None:
        """When the first open one closes."""
        return min((digest.closes_at for digest in self._open.values()), default=None)

    def due(self, now: dt.datetime) -> list[SimulatedDigest]:
        """Those to close at ``now``, in order."""
        found = [digest for digest in self._open.values() if digest.closes_at <= now]
        return sorted(found, key=lambda digest: digest.closes_at)

    def close(
        self, digest: SimulatedDigest, person: Person, *, now: dt.datetime
    ) -> tuple[Message, PlannedNotification] | None:
        """Settle what is in it; returns the mail that is to go out, None when nothing is wanted any more."""
        del self._open[digest.cadence]
        digest.is_closed = True
        remaining = Remaining(self._around.catalog, {self._user_id: person}, now)
        left = [delivery for item, delivery in digest.items if self._stays(item, delivery, digest, remaining)]
        if not left and not digest.waiting_before:
            return None
        message, planned = self._planned(person, now)
        mail = planned.deliveries[0]
        goes_out = mail.status != DeliveryStatus.SUPPRESSED
        status = DeliveryStatus.DIGESTED if goes_out else DeliveryStatus.SUPPRESSED
        for delivery in left:
            delivery.status = status
            delivery.reason = Reason.DIGESTED.value if goes_out else mail.reason
        return (message, planned) if goes_out else None

    def _stays(
        self,
        notification: SimulatedNotification,
        delivery: SimulatedDelivery,
        digest: SimulatedDigest,
        remaining: Remaining,
    ) -> bool:
        """Whether the item is still wanted; else it is settled here."""
        refusal = remaining.refusal(
            Item(
                window_id=digest.id,
                delivery_id=delivery.id,
                channel=delivery.channel,
                notification_id=notification.id,
                event_type_id=notification.message.event_type.id,
                expires_at=notification.message.expires_at,
                is_cancelled=False,
                is_read=False,
            ),
            Window(
                id=digest.id,
                user_id=self._user_id,
                cadence=digest.cadence,
                zone=digest.zone,
                closes_at=digest.closes_at,
                item_count=len(digest.items),
                user_zone=digest.zone,
                is_member=True,
                organization_active=True,
            ),
        )
        if refusal is None:
            return True
        delivery.status, delivery.reason = refusal.status, refusal.reason.value
        delivery.weighed.append(
            Weighed(
                at=remaining.now,
                action="suppress",
                reason=refusal.reason.value,
                until=remaining.now,
                detail=refusal.detail or {},
            )
        )
        return False

    def _planned(self, person: Person, now: dt.datetime) -> tuple[Message, PlannedNotification]:
        catalog = self._around.catalog
        message = digest_message(self._around.organization_id, catalog, now)
        if message.template is None and catalog.event_types[DIGEST].is_active:
            # The template comes with the first digest that closes in truth.
            message = replace(message, literal=literal({"subject": "Digest", "text": "Digest"}))
        [planned] = plan(message, people=[person], organization=self._around.organization, catalog=catalog)
        return message, planned

    def mail_data(self, notification: SimulatedNotification, person: Person) -> Mapping[str, Any]:
        """What the template of a digest sees besides the person; nothing for any other mail."""
        digest = next((one for one in self.all if one.mail is notification), None)
        if digest is None:
            return {}
        sections = self._sections(digest)
        return context_of(
            sections, frequency=frequency_of(digest.cadence), zone=digest.zone, locale=person.locale
        )

    def _sections(self, digest: SimulatedDigest) -> list[Section]:
        """What waited in truth, then what was simulated, by category."""
        waiting = (
            waiting_sections(
                organization_id=self._around.organization_id,
                user_id=self._user_id,
                frequency=frequency_of(digest.cadence),
            )
            if digest.waiting_before
            else []
        )
        own: dict[str, Section] = {}
        for one in digest.told():
            key = one.message.event_type.category_key
            title = one.title or one.message.event_type.name
            entry = Entry(title, one.planned.body, one.planned.action_url, one.message.now)
            own.setdefault(key, Section(key)).entries.append(entry)
        return [*waiting, *own.values()]
