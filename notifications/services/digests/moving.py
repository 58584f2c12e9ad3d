"""Who moves to another time zone gets the open digests at the same time of the clocks there."""

from __future__ import annotations

from django.db import transaction

from accounts.events import UserZoneChanged
from castcomm.common.events import subscribe
from notifications.models import DigestWindow
from notifications.services.digests.schedule import moved_with


@subscribe(UserZoneChanged)
def move_windows(event: UserZoneChanged) -> None:
    """In the transaction of the change, in every organization of the person.

    A time that has passed there makes a window due at once. Closing looks at the zone again, for a change that was made
    past the services.
    """
    with transaction.atomic():
        windows = list(
            DigestWindow.objects.filter(user_id=event.user_id, status="open")
            .select_for_update(no_key=True)
            .order_by("organization_id", "cadence")
        )
        for window in windows:
            window.closes_at = moved_with(
                window.cadence, window.closes_at, before=window.zone, after=event.after
            )
            window.zone = event.after
        DigestWindow.objects.bulk_update(windows, ["closes_at", "zone"])
