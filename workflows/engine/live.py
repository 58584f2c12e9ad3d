"""The engine on real time, real people and real sends."""

from __future__ import annotations

import functools
import uuid

from django.conf import settings

from accounts.models import Membership
from accounts.selectors import get_membership
from castcomm.common.clock import SystemClock
from notifications.services.send_checks import SendOptions
from notifications.services.sending import send_notification
from workflows.engine.ports import Person, Send, Sent
from workflows.engine.runner import Engine


class MembersReader:
    """Reads active members as they are now."""

    def find(self, *, user_id: uuid.UUID, organization_id: uuid.UUID) -> Person | None:
        """The person, or None when they are no longer an active member."""
        membership = get_membership(user_id, organization_id)
        return person_of(membership) if membership is not None else None


def person_of(membership: Membership) -> Person:
    """A member as steps and expressions see them."""
    user = membership.user
    fields = {
        "id": str(user.id),
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "display_name": user.display_name,
        "locale": user.locale,
        "time_zone": user.time_zone,
        "role": membership.role,
        "domain_role": membership.domain_role,
    }
    return Person(id=user.id, organization=membership.organization, fields=fields, attributes=user.attributes)


def options_of(wanted: Send) -> SendOptions:
    """What a step wants sent, in the words of ``send_notification``."""
    return {
        "event_type": wanted.event_type,
        "template": wanted.template,
        "data": wanted.data,
        "channels": wanted.channels,
        "priority": wanted.priority,
        "idempotency_key": wanted.key,
        "source": "workflow",
    }


class NotificationEffects:
    """Sends through the one door of notifications, in the engine's transaction."""

    def send(self, wanted: Send) -> Sent:
        """Send once per key; raises CastCommError."""
        result = send_notification(
            organization=wanted.organization, recipients=[wanted.user_id], **options_of(wanted)
        )
        first = result.notifications[0].id if result.notifications else None
        return Sent(result.request_id, first)


@functools.cache
def live_engine() -> Engine:
    """The engine of this process."""
    return Engine(
        clock=SystemClock(),
        people=MembersReader(),
        effects=NotificationEffects(),
        time_scale=settings.DEMO_TIME_SCALE,
    )
