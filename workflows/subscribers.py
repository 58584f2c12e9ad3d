"""News from the apps below that starts workflows, in the transaction of what caused it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

import structlog
from django.db import transaction

from accounts.events import AccountLinked, EmailVerified, UserRegistered
from accounts.models import Organization, User
from accounts.selectors import active_memberships
from castcomm.common import sql
from castcomm.common.errors import CastCommError
from castcomm.common.events import subscribe
from notifications.events import DeliveryMoved, InboxActed
from notifications.models import Notification
from workflows.services.triggering import report_event, trigger_event

log = structlog.get_logger(__name__)

_RECEIPTS = {"opened": "notification_opened", "clicked": "notification_clicked"}
_ACTS = {"read": "notification_read", "action": "notification_action"}
_WANTED = """
SELECT count(*) FROM workflows_workflow w JOIN workflows_workflowversion v ON v.id = w.current_version_id
 WHERE w.organization_id = ANY(%s) AND w.is_active AND strpos(v.definition::text, %s) > 0
"""


@subscribe(UserRegistered)
def start_registration_workflows(event: UserRegistered) -> None:
    """A registration is the event ``user_registered``, reported in the transaction that made the person."""
    trigger_event(
        organization=Organization.objects.get(id=event.organization_id),
        event="user_registered",
        user=User.objects.get(id=event.user_id),
        idempotency_key=f"user_registered:{event.user_id}:{event.organization_id}",
    )


@subscribe(EmailVerified)
def on_email_verified(event: EmailVerified) -> None:
    """The event ``email_verified``, in each organization of the person."""
    _report_everywhere(event.user_id, "email_verified", {"email": event.email})


@subscribe(AccountLinked)
def on_account_linked(event: AccountLinked) -> None:
    """The event ``account_linked``, in each organization of the person."""
    _report_everywhere(event.user_id, "account_linked", {"provider": event.provider})


@subscribe(DeliveryMoved)
def on_delivery_moved(event: DeliveryMoved) -> None:
    """What people opened and clicked: ``notification_opened`` and ``notification_clicked``."""
    for kind, name in _RECEIPTS.items():
        moves = [one for one in event.moves if one.kind == kind]
        if moves and _is_wanted({one.organization_id for one in moves}, name):
            for one in moves:
                _report_about([one.notification_id], name, {"channel": one.channel})


@subscribe(InboxActed)
def on_inbox_acted(event: InboxActed) -> None:
    """What people did in their inbox: ``notification_read`` and ``notification_action``."""
    name = _ACTS.get(event.act)
    if name is not None and _is_wanted({event.organization_id}, name):
        data = {"action": event.action_key} if event.action_key else {}
        _report_about(event.notification_ids, name, {"channel": "in_app", **data})


def _is_wanted(organization_ids: Collection[uuid.UUID], name: str) -> bool:
    """Whether a workflow that runs there speaks of the event; receipts come in thousands."""
    return bool(sql.run(_WANTED, (list(organization_ids), f'"{name}"'))[0][0])


def _report_about(notification_ids: Collection[uuid.UUID], name: str, data: Mapping[str, Any]) -> None:
    found = Notification.objects.filter(id__in=notification_ids, user__isnull=False)
    for one in found.select_related("user", "organization", "event_type", "request__template"):
        template = one.request.template.key if one.request.template else ""
        about = {
            "notification": str(one.id), "event_type": one.event_type.key, "template": template, **data
        }  # fmt: skip
        assert one.user is not None
        _report(one.organization, one.user, name, about, key=f"{name}:{one.id}:{data.get('action', '')}")


def _report_everywhere(user_id: uuid.UUID, name: str, data: Mapping[str, Any]) -> None:
    for one in active_memberships().filter(user=user_id).select_related("user", "organization"):
        _report(one.organization, one.user, name, data)


def _report(
    organization: Organization, user: User, name: str, data: Mapping[str, Any], key: str = ""
) -> None:
    try:
        with transaction.atomic():
            report_event(organization=organization, event=name, user=user, data=data, idempotency_key=key)
    except CastCommError as error:
        # It has happened, whatever a workflow makes of it.
        log.warning("workflow.news_not_reported", workflow_event=name, error=error.message)
