"""What its answers say about an endpoint: since when it fails, how long it rests, and when it is given up."""

from __future__ import annotations

import datetime as dt
import uuid
from urllib.parse import urlsplit

import structlog
from django.db import transaction
from django.db.models import Q

from accounts.models import Membership
from accounts.models.organizations import Role
from castcomm.common.clock import now as current_time
from notifications.models import DisabledReason, WebhookEndpoint, WebhookKind
from notifications.services.alerts import raise_alert
from notifications.services.sending import send_notification
from notifications.services.webhook_endpoints import switch_off

log = structlog.get_logger(__name__)

GIVE_UP_AFTER = dt.timedelta(days=5)
# Longer than the longest wait between two attempts: a failure that nothing followed for so long is a story of its own.
FORGET_AFTER = dt.timedelta(hours=48)
SUCCESS_RESOLUTION = dt.timedelta(
    minutes=1
)  # "last success" is a hint for people; it need not cost a write each
ALERT_KIND = "webhook_endpoint_disabled"


def succeeded(endpoint_id: uuid.UUID) -> None:
    """It took a message."""
    moment = current_time()
    is_news = Q(failing_since__isnull=False) | Q(resume_at__isnull=False) | Q(last_success_at=None)
    stale = Q(last_success_at__lt=moment - SUCCESS_RESOLUTION)
    WebhookEndpoint.objects.filter(is_news | stale, id=endpoint_id).update(
        failing_since=None, last_failure_at=None, resume_at=None, last_success_at=moment
    )


def failed(endpoint_id: uuid.UUID, *, gone: bool, retry_after: float | None) -> None:
    """It did not take a message; ``retry_after`` is in seconds. Gives it up for 410 and after five such days."""
    moment = current_time()
    with transaction.atomic():
        row = WebhookEndpoint.objects.select_for_update(no_key=True).filter(id=endpoint_id).first()
        if row is None:
            return
        if row.failing_since is None or (row.last_failure_at or moment) < moment - FORGET_AFTER:
            row.failing_since = moment
        row.last_failure_at = moment
        row.resume_at = moment + dt.timedelta(seconds=retry_after) if retry_after else row.resume_at
        fields = ["failing_since", "last_failure_at", "resume_at"]
        WebhookEndpoint.objects.filter(id=row.id).update(**{name: getattr(row, name) for name in fields})
        lasting = moment - row.failing_since >= GIVE_UP_AFTER
        # An address of the settings is the operator's: nobody could switch it on again here.
        if row.is_active and not row.setting and (gone or lasting):
            switch_off(row, DisabledReason.GONE if gone else DisabledReason.FAILING)
            _give_notice(row)


def _give_notice(row: WebhookEndpoint) -> None:
    """Tell the organization's owners, and whoever looks after alerts."""
    name = f"{row.description or 'The webhook endpoint'} ({host_of(row)})"
    title = "A webhook endpoint was switched off"
    why = row.get_disabled_reason_display()
    detail = f"{name} was switched off. {why}. Nothing is sent to it until somebody switches it on again."
    try:
        with transaction.atomic():
            _notify_owners(row, title, detail)
    except Exception:
        # It stays switched off; the alert says so as well.
        log.exception("webhook.owners_not_told", endpoint_id=str(row.id))
    raise_alert(
        kind=ALERT_KIND, title=title, detail=detail, severity="warning", organization_id=row.organization_id
    )


def _notify_owners(row: WebhookEndpoint, title: str, detail: str) -> None:
    assert row.organization is not None
    owners = Membership.objects.filter(
        organization=row.organization, role=Role.OWNER, is_active=True, user__is_active=True
    )
    people = [membership.user for membership in owners.select_related("user")]
    if people:
        send_notification(
            organization=row.organization,
            recipients=people,
            content={"title": title, "body": detail},
            channels=["in_app", "email"],
            idempotency_key=f"webhook-endpoint-off:{row.id}:{row.disabled_at}",
            source="webhooks",
        )


def host_of(row: WebhookEndpoint) -> str:
    """The host alone: the rest of a URL may hold a token."""
    if row.setting:
        return row.setting
    return "Slack" if row.kind == WebhookKind.SLACK else urlsplit(row.url).hostname or ""
