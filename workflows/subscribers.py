"""News from the apps below that starts workflows."""

from __future__ import annotations

from accounts.events import UserRegistered
from accounts.models import Organization, User
from castcomm.common.events import subscribe
from workflows.services.triggering import trigger_event


@subscribe(UserRegistered)
def start_registration_workflows(event: UserRegistered) -> None:
    """A registration is the event ``user_registered``, reported in the transaction that made the person."""
    trigger_event(
        organization=Organization.objects.get(id=event.organization_id),
        event="user_registered",
        user=User.objects.get(id=event.user_id),
        idempotency_key=f"user_registered:{event.user_id}:{event.organization_id}",
    )
