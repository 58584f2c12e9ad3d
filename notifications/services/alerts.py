"""Alerts: what somebody who runs this deployment, or an organization, should know now.

They go to the log, to SLACK_WEBHOOK_URL, to ALERT_WEBHOOK_URL, and to the organization's endpoints that subscribe to
``alert.*``, through the outbox of webhooks: what was raised in a transaction goes out when that commits.
"""

from __future__ import annotations

import datetime as dt
import uuid

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from notifications.models import WebhookEndpoint, WebhookKind, WebhookMessage
from notifications.services.customer_webhooks import ALERTS, News, publish_all

log = structlog.get_logger(__name__)

QUIET = dt.timedelta(minutes=15)  # in which the same alert is not raised again
SEVERITIES = ("info", "warning", "critical")
SETTINGS = {
    "SLACK_WEBHOOK_URL": WebhookKind.SLACK.value,
    "ALERT_WEBHOOK_URL": WebhookKind.STANDARD.value,
}


def raise_alert(
    *, kind: str, title: str, detail: str, severity: str, organization_id: uuid.UUID | None = None
) -> None:
    """Say that something is wrong, at most once in 15 minutes per ``kind`` and organization; never raises.

    ``kind`` is a name such as ``breaker_open``; endpoints see ``alert.<kind>``. ``severity`` is info, warning or
    critical. Texts must hold no secret and no address of a person. Takes part in the caller's transaction.
    """
    try:
        if cache.get(_key(kind, organization_id)) is None:
            with transaction.atomic():
                _raise(kind, title, detail, severity, organization_id)
    except Exception:
        log.exception("alert.not_raised", kind=kind, title=title)


def _raise(kind: str, title: str, detail: str, severity: str, organization_id: uuid.UUID | None) -> None:
    # Of two who raise it at the same moment, one does; the lock is the transaction's.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [_key(kind, organization_id)])
        if not cursor.fetchone()[0]:
            return
    moment = current_time()
    event_type = ALERTS + kind[:90]
    earlier = WebhookMessage.objects.filter(
        event_type=event_type,
        event_type__startswith=ALERTS,  # which the index is about
        created_at__gt=moment - QUIET,
        organization=organization_id,
    )
    if earlier.exists():
        return
    log.warning("alert", kind=kind, title=title, detail=detail, severity=severity)
    publish_all(
        [
            News(
                organization_id=organization_id,
                event_type=event_type,
                payload=_payload(kind, title, detail, severity, organization_id),
                occurred_at=moment,
                also=_addresses_of_settings(),
            )
        ]
    )
    # Redis spares the database the question; what it does not know, the database does.
    seconds = QUIET.total_seconds()
    transaction.on_commit(lambda: cache.set(_key(kind, organization_id), 1, seconds), robust=True)


def _payload(
    kind: str, title: str, detail: str, severity: str, organization_id: uuid.UUID | None
) -> dict[str, str]:
    made = {
        "kind": kind,
        "title": title[:200],
        "detail": detail[:2_000],
        "severity": severity if severity in SEVERITIES else "warning",
    }
    if organization_id is not None:
        name = Organization.objects.filter(id=organization_id).values_list("name", flat=True).first()
        made |= {"organization_id": str(organization_id), "organization": name or ""}
    return made


def _addresses_of_settings() -> tuple[uuid.UUID, ...]:
    """The endpoints that stand for the settings that are filled in; made when missing."""
    found = []
    for name, kind in SETTINGS.items():
        if getattr(settings, name):
            row, _ = WebhookEndpoint.objects.get_or_create(
                setting=name, defaults={"kind": kind, "event_types": [f"{ALERTS}*"], "organization": None}
            )
            found.append(row.id)
    return tuple(found)


def _key(kind: str, organization_id: uuid.UUID | None) -> str:
    return f"alert:{kind}:{organization_id or ''}"
