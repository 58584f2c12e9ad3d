"""The sends of one person on a virtual clock: what real sending, dispatch and digests would do, and nothing is stored.

What decides is what decides for real sends: the checks of ``send_notification``, ``planning.plan``, ``rechecking`` for
what was put off, ``digests.remaining`` for what waits in a window. Only the tables are replaced, by objects.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

from notifications.rendering.content import render_email, render_push, render_sms
from notifications.rendering.sandbox import RenderingError
from notifications.services.caps.counters import Counter, Key, beginning
from notifications.services.caps.room import NO_CAPS, Room, room_as_counted
from notifications.services.digests.text import text_for
from notifications.services.mail_links import example_links
from notifications.services.planning import (
    STATUS_OF,
    Message,
    PlannedDelivery,
    PlannedNotification,
    context_for,
    decision_json,
    plan,
)
from notifications.services.rechecking import decide_anew, may_wait_for_a_moment
from notifications.services.recipients import Person
from notifications.services.routing import Decision
from notifications.services.send_checks import SendOptions, check_call
from notifications.services.sending import check_event_type, message_for
from notifications.services.simulating.stories import (
    SimulatedDelivery,
    SimulatedDigest,
    SimulatedNotification,
    Weighed,
)
from notifications.services.simulating.surroundings import Surroundings
from notifications.services.simulating.windows import SimulatedWindows
from notifications.services.smart_send.moments import NO_MOMENTS, Moments, moments_from
from notifications.vocabulary import Channel, DeliveryStatus, Reason

Waiting = tuple[SimulatedNotification, SimulatedDelivery]


class SimulatedOutbox:
    """What is sent to one person from ``start`` on, in the order of time.

    ``rendering`` fills in subjects, and finds what cannot be filled in. What was counted and collected in truth after
    ``start`` is left out.
    """

    def __init__(
        self, surroundings: Surroundings, user_id: uuid.UUID, *, start: dt.datetime, rendering: bool = False
    ) -> None:
        self._around = surroundings
        self._user_id = user_id
        self._rendering = rendering
        self._attributes: Mapping[str, Any] | None = None
        counted = surroundings.counters.get(user_id, {})
        self._kept: dict[Key, Counter] = {key: one for key, one in counted.items() if one.began_at <= start}
        self._waiting: list[Waiting] = []
        self.windows = SimulatedWindows(surroundings, user_id, start=start)
        self.sent: list[SimulatedNotification] = []
        self._gone: list[Waiting] = []

    def know_attributes(self, attributes: Mapping[str, Any]) -> None:
        """What the person's attributes are from now on; templates see them."""
        self._attributes = attributes

    def send(
        self, *, now: dt.datetime, recipient: uuid.UUID, **options: Unpack[SendOptions]
    ) -> SimulatedNotification:
        """What ``send_notification`` with these options would write at ``now``; raises what it raises."""
        call = check_call([recipient], options)
        kind = check_event_type(self._around.catalog, call.event_type)
        checked = message_for(self._around.organization_id, call, kind, self._around.catalog)
        return self._take(replace(checked, now=now))

    def next_due(self) -> dt.datetime | None:
        """When something that waits is due, or a digest closes."""
        moments = [delivery.due_at for _, delivery in self._waiting]
        closes = self.windows.next_close()
        return min([*moments, closes] if closes is not None else moments, default=None)

    def take_gone(self) -> list[Waiting]:
        """What went out since the last time that this was asked, but for the inbox."""
        taken, self._gone = self._gone, []
        return taken

    def settle_due(self, now: dt.datetime) -> None:
        """Do what is due at ``now``."""
        for digest in self.windows.due(now):
            mail = self.windows.close(digest, self._person(now), now=now)
            if mail is not None:
                self._adopt(*mail, now=now, digest=digest)
        # Where there is room for one of several, the oldest gets it.
        due = sorted(
            (one for one in self._waiting if one[1].due_at <= now), key=lambda one: one[0].message.now
        )
        self._waiting = [one for one in self._waiting if one[1].due_at > now]
        for notification, delivery in due:
            self._look_again(notification, delivery, now)

    def _take(self, message: Message) -> SimulatedNotification:
        person = self._person(message.now)
        [planned] = plan(
            message,
            people=[person],
            organization=self._around.organization,
            catalog=self._around.catalog,
            room=self._room(message, message.now),
            moments=self._moments(message, person, message.now),
        )
        made = self._adopt(message, planned, now=message.now)
        self.sent.append(made)
        return made

    def _adopt(
        self,
        message: Message,
        planned: PlannedNotification,
        *,
        now: dt.datetime,
        digest: SimulatedDigest | None = None,
    ) -> SimulatedNotification:
        """What was planned, with what follows for each channel at once; ``digest`` is what it is the mail of."""
        made = SimulatedNotification(message=message, planned=planned, deliveries=[])
        if digest is not None:
            digest.mail = made
        for one in planned.deliveries:
            delivery = _delivery(one, now)
            made.deliveries.append(delivery)
            if delivery.status == DeliveryStatus.PENDING:
                self._count(message, delivery.channel, now)
                self._go_out(made, delivery, now)
            elif delivery.status == DeliveryStatus.DELIVERED:
                delivery.went_out_at = now
            elif delivery.status == DeliveryStatus.DEFERRED:
                self._waiting.append((made, delivery))
            elif delivery.status == DeliveryStatus.IN_DIGEST and one.digest is not None:
                self.windows.collect(made, delivery, one.digest, self._person(now).time_zone, now)
        return made

    def _look_again(
        self, notification: SimulatedNotification, delivery: SimulatedDelivery, now: dt.datetime
    ) -> None:
        message = notification.message
        if message.expires_at is not None and message.expires_at <= now:
            delivery.status, delivery.reason = DeliveryStatus.FAILED, Reason.EXPIRED.value
            return
        room = self._room(message, now)
        decision = self._decide_anew(message, delivery, room, now)
        delivery.status, delivery.reason = STATUS_OF[decision.action], decision.reason.value
        delivery.due_at = decision.due_at
        if delivery.status != DeliveryStatus.PENDING:
            delivery.weighed.append(_weighed(decision, now))
        if decision.reason == Reason.CAP_WAIT:
            delivery.since = delivery.since or now
        if delivery.status == DeliveryStatus.PENDING:
            self._count(message, delivery.channel, now)
            self._go_out(notification, delivery, now)
        elif delivery.status == DeliveryStatus.DEFERRED:
            self._waiting.append((notification, delivery))
        elif decision.digest is not None:
            self._name(notification, now)
            self.windows.collect(notification, delivery, decision.digest, self._person(now).time_zone, now)

    def _decide_anew(
        self, message: Message, delivery: SimulatedDelivery, room: Room, now: dt.datetime
    ) -> Decision:
        person = self._person(now)
        again = may_wait_for_a_moment(
            self._around.catalog,
            priority=message.priority,
            reasons={one.reason for one in delivery.weighed},
            asked_at=message.now,
            now=now,
        )
        return decide_anew(
            delivery.channel,
            person=person,
            event_type=message.event_type,
            priority=message.priority,
            catalog=self._around.catalog,
            room=room,
            moments=self._moments(message, person, now) if again else NO_MOMENTS,
            since=delivery.since or now,
            now=now,
        )

    def _go_out(
        self, notification: SimulatedNotification, delivery: SimulatedDelivery, now: dt.datetime
    ) -> None:
        delivery.status = (
            DeliveryStatus.DELIVERED if delivery.channel == Channel.IN_APP else DeliveryStatus.SENT
        )
        delivery.went_out_at = now
        if self._rendering:
            self._fill_in(notification, delivery, now)
        if delivery.went_out_at is not None:
            self._gone.append((notification, delivery))

    def _fill_in(
        self, notification: SimulatedNotification, delivery: SimulatedDelivery, now: dt.datetime
    ) -> None:
        """The subject; a text that cannot be made is not sent."""
        message, person = notification.message, self._person(now)
        content = message.content_for(person, self._around.organization)
        if content is None:
            return
        context = context_for(message, notification.id, person, self._around.organization)
        context.update(example_links(), **self.windows.mail_data(notification, person))
        try:
            if delivery.channel == Channel.EMAIL:
                delivery.subject = render_email(content, context).subject
            elif delivery.channel == Channel.SMS:
                delivery.subject = render_sms(content, context)
            elif delivery.channel == Channel.PUSH:
                delivery.subject = render_push(content, context).title
        except RenderingError as error:
            delivery.status, delivery.reason = DeliveryStatus.FAILED, Reason.RENDERING.value
            delivery.error, delivery.went_out_at = str(error), None

    def _name(self, notification: SimulatedNotification, now: dt.datetime) -> None:
        """What the digest will say of it, as dispatch writes it down when it puts something into one."""
        person = self._person(now)
        content = notification.message.content_for(person, self._around.organization)
        if content is None or notification.planned.title:
            return
        context = context_for(notification.message, notification.id, person, self._around.organization)
        try:
            notification.planned.title = text_for(content, context).title
        except RenderingError:
            # The digest names its event type then.
            notification.planned.title = ""

    def _person(self, now: dt.datetime) -> Person:
        """The person as they are at ``now``."""
        person = self._around.people[self._user_id]
        ends = self._around.suppression_ends.get(self._user_id, {})
        lifted = {channel for channel, moment in ends.items() if moment <= now}
        if lifted:
            person = replace(person, suppressed=person.suppressed - lifted)
        return replace(person, attributes=self._attributes) if self._attributes is not None else person

    def _room(self, message: Message, now: dt.datetime) -> Room:
        return room_as_counted(
            catalog=self._around.catalog,
            event_type=message.event_type,
            critical=message.critical,
            kept=self._kept,
            now=now,
        )

    def _count(self, message: Message, channel: str, now: dt.datetime) -> None:
        """Count one that goes out, as the caps' table would."""
        if channel == Channel.IN_APP or self._room(message, now) is NO_CAPS:
            return
        for period in {cap.period for cap in self._around.catalog.caps if cap.channel in ("", channel)}:
            key = (self._user_id, channel, period)
            before = self._kept.get(key, Counter(period, beginning(period, now))).moved_on(now)
            self._kept[key] = replace(before, count=before.count + 1)

    def _moments(self, message: Message, person: Person, now: dt.datetime) -> Moments:
        return moments_from(
            self._around.histograms,
            catalog=self._around.catalog,
            priority=message.priority,
            zones={self._user_id: person.time_zone},
            now=now,
            until=message.expires_at,
        )


def _delivery(planned: PlannedDelivery, now: dt.datetime) -> SimulatedDelivery:
    detail = {name: value for name, value in planned.decision.items() if name not in ("action", "reason")}
    first = Weighed(
        at=now,
        action=planned.decision["action"],
        reason=planned.decision["reason"],
        until=planned.due_at,
        detail=detail,
    )
    return SimulatedDelivery(
        id=planned.id,
        channel=planned.channel,
        status=DeliveryStatus(planned.status),
        reason=planned.reason,
        weighed=[first],
        due_at=planned.due_at,
        error=planned.error,
        since=now if first.reason == Reason.CAP_WAIT else None,
    )


def _weighed(decision: Decision, now: dt.datetime) -> Weighed:
    made = decision_json(decision)
    return Weighed(
        at=now,
        action=made["action"],
        reason=made["reason"],
        until=decision.due_at,
        detail=decision.detail,
    )
