"""What waits for a local time is timed anew when the person's zone or quiet hours change."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.db.models import QuerySet

from accounts.events import UserZoneChanged
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from castcomm.common.events import subscribe
from notifications.models import Delivery
from notifications.services.local_times import moment_of
from notifications.services.recipients import Person, Reference, load_people
from notifications.vocabulary import DeliveryStatus, Reason

_TIMED = (Reason.LOCAL_TIME.value, Reason.QUIET_HOURS.value)


@subscribe(UserZoneChanged)
def time_anew_everywhere(event: UserZoneChanged) -> None:
    """In the transaction of the change: in every organization of the person."""
    waiting = _waiting(event.user_id).order_by().values_list("organization_id", flat=True)
    for organization_id in sorted(set(waiting)):
        time_anew(user_id=event.user_id, organization_id=organization_id)


def time_anew(*, user_id: uuid.UUID, organization_id: uuid.UUID) -> int:
    """Give waiting deliveries the time that the person's zone and quiet hours mean now; returns how many moved.

    A time that has passed there makes them due at once. What may have changed besides is looked at when they are due.
    """
    with transaction.atomic():
        rows = list(
            _waiting(user_id)
            .filter(organization_id=organization_id)
            .select_related("notification__request")
            .select_for_update(of=("self",), no_key=True)
            .order_by("id")
        )
        if not rows:
            return 0
        try:
            _, [person] = load_people(organization_id, [Reference(0, user_id=user_id)])
        except InvalidInput:
            return 0  # no active member any more, and nothing will be sent
        now = current_time()
        moved = [row for row in rows if _timed(row, person, now)]
        Delivery.objects.bulk_update(moved, ["due_at", "reason", "decision"], batch_size=500)
    return len(moved)


def _waiting(user_id: uuid.UUID) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        notification__user_id=user_id, status=DeliveryStatus.DEFERRED, reason__in=_TIMED
    )


def _timed(row: Delivery, person: Person, now: dt.datetime) -> bool:
    """Set the time that holds now; False when it is the one that is there."""
    request = row.notification.request
    wanted, reason = now, Reason.QUIET_HOURS
    detail = {"action": row.decision.get("action", "defer")}
    if request.scheduled_local:
        wanted = moment_of(dt.datetime.fromisoformat(request.scheduled_local), person.time_zone)
        reason = Reason.LOCAL_TIME
        detail |= {"zone": person.time_zone, "local": request.scheduled_local}
    elif request.scheduled_for is not None:
        wanted, reason = request.scheduled_for, Reason.SCHEDULED
    wanted = max(wanted, now)
    quiet = None if request.critical else person.quiet_by_channel.get(row.channel, person.quiet)
    due = quiet.next_free(wanted) if quiet is not None else wanted
    if quiet is not None and due > wanted:
        reason, detail = Reason.QUIET_HOURS, {**detail, "zone": quiet.zone}
    if due == row.due_at and reason == row.reason:
        return False
    row.due_at, row.reason = due, reason.value
    row.decision = {**detail, "reason": reason.value, "until": due.isoformat()}
    return True
