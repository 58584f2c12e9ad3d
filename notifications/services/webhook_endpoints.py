"""Endpoints of customers: registered, changed, given a new secret, switched off and on, tried out, removed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from accounts.models import Organization
from castcomm.common import http
from castcomm.common.clock import now as current_time
from castcomm.common.errors import Conflict, InvalidInput
from notifications.models import (
    DisabledReason,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookKind,
    WebhookStatus,
)
from notifications.services.customer_webhooks import ALERTS, EVENT_TYPES, PING, News, matches, publish_all
from notifications.services.webhook_form import new_secret

MAX_ENDPOINTS = 20  # per organization: each multiplies what is written
MAX_EVENT_TYPES = 50
MAX_URL = 2_000  # characters
MAX_DESCRIPTION = 200  # characters
ROTATION_OVERLAP = dt.timedelta(hours=24)
CHANGEABLE = frozenset({"url", "description", "event_types", "include_address", "is_active"})
_PATTERN = re.compile(r"\*|[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?")


def create_endpoint(
    *,
    organization: Organization,
    url: str,
    kind: str = WebhookKind.STANDARD,
    description: str = "",
    event_types: Sequence[str] = (),
    include_address: bool = False,
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, which nobody can see again later ("" for Slack, which checks none).

    Raises InvalidInput that names the field, also when the host is not on the public internet, or Conflict when the
    organization has enough of them.
    """
    if kind not in WebhookKind.values:
        raise InvalidInput(f"One of: {', '.join(WebhookKind.values)}.", attr="kind")
    row = WebhookEndpoint(
        organization=organization,
        kind=kind,
        url=check_url(url),
        description=_description(description),
        event_types=check_event_types(event_types),
        include_address=include_address,
        secret=new_secret() if kind == WebhookKind.STANDARD else "",
    )
    with transaction.atomic():
        # One at a time, so that nobody gets past the limit.
        Organization.objects.select_for_update(no_key=True).get(id=organization.id)
        if WebhookEndpoint.objects.for_organization(organization).count() >= MAX_ENDPOINTS:
            raise Conflict(f"An organization has at most {MAX_ENDPOINTS} endpoints.", code="too_many")
        row.save()
    return row, row.secret


def change_endpoint(*, endpoint: WebhookEndpoint, changes: Mapping[str, Any]) -> WebhookEndpoint:
    """Change some of ``CHANGEABLE``. Switched off, what still waited for it has failed and can be replayed."""
    unknown = sorted(set(changes) - CHANGEABLE)
    if unknown:
        raise InvalidInput("This cannot be changed.", attr=unknown[0])
    checked = dict(changes)
    if "url" in checked and checked["url"] != endpoint.url:
        checked["url"] = check_url(checked["url"])
    if "description" in checked:
        checked["description"] = _description(checked["description"])
    if "event_types" in checked:
        checked["event_types"] = check_event_types(checked["event_types"])
    wanted = checked.pop("is_active", None)
    with transaction.atomic():
        row = _locked(endpoint)
        for name, value in checked.items():
            setattr(row, name, value)
        if checked:
            row.save(update_fields=[*checked, "updated_at"])
        if wanted is True and not row.is_active:
            _switch_on(row)
        elif wanted is False and row.is_active:
            switch_off(row, DisabledReason.BY_HAND)
    return row


def rotate_secret(
    *, endpoint: WebhookEndpoint, overlap: dt.timedelta = ROTATION_OVERLAP
) -> tuple[WebhookEndpoint, str]:
    """A new secret, shown this once; for ``overlap`` everything is signed with the old one as well."""
    if endpoint.kind != WebhookKind.STANDARD:
        raise Conflict("Slack's endpoints have no secret.", code="no_secret")
    with transaction.atomic():
        row = _locked(endpoint)
        row.previous_secret, row.previous_secret_until = row.secret, current_time() + overlap
        row.secret = new_secret()
        row.save(update_fields=["secret", "previous_secret", "previous_secret_until", "updated_at"])
    return row, row.secret


def delete_endpoint(*, endpoint: WebhookEndpoint) -> None:
    """Remove it with everything that was sent to it."""
    endpoint.delete()


def send_test(*, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Put a ``ping`` into the endpoint's queue, whatever it subscribes to; raises Conflict when it is off."""
    _refuse_inactive(endpoint)
    news = News(
        organization_id=endpoint.organization_id,
        event_type=PING,
        payload={"endpoint_id": str(endpoint.id), "title": "A test from CastComm"},
        occurred_at=current_time(),
        also=(endpoint.id,),
        only_also=True,
    )
    (delivery_id,) = publish_all([news])
    made: WebhookDelivery = WebhookDelivery.objects.select_related("message").get(id=delivery_id)
    return made


def switch_off(row: WebhookEndpoint, reason: DisabledReason) -> None:
    """Tell it nothing any more; ``row`` is locked by the caller's transaction."""
    moment = current_time()
    row.is_active, row.disabled_at, row.disabled_reason = False, moment, reason
    row.save(update_fields=["is_active", "disabled_at", "disabled_reason", "updated_at"])
    waiting = WebhookDelivery.objects.filter(endpoint=row, status=WebhookStatus.PENDING)
    waiting.update(
        status=WebhookStatus.FAILED,
        settled_at=moment,
        last_detail="The endpoint was switched off.",
        lease_until=None,
        lease_token=None,
    )


def check_url(url: str) -> str:
    """``url`` when it may be called; raises InvalidInput at ``url``. Looks the name up."""
    url = url.strip()
    if len(url) > MAX_URL:
        raise InvalidInput(f"A URL has at most {MAX_URL} characters.", attr="url")
    try:
        http.check_address(url, allow_loopback=settings.WEBHOOKS_TO_LOOPBACK)
    except http.RequestFailed as error:
        raise InvalidInput(error.message, attr="url", code=error.code) from error
    parts = urlsplit(url)
    if parts.scheme != "https" and not settings.WEBHOOKS_TO_LOOPBACK:
        raise InvalidInput("The URL must start with https://.", attr="url", code="https_required")
    if parts.fragment:
        raise InvalidInput("A fragment (#…) is never sent; leave it out.", attr="url")
    return url


def check_event_types(given: Sequence[str]) -> list[str]:
    """The subscriptions, once each; raises InvalidInput at ``event_types.N`` for what nothing is ever called."""
    if len(given) > MAX_EVENT_TYPES:
        raise InvalidInput(f"At most {MAX_EVENT_TYPES}.", attr="event_types")
    for position, pattern in enumerate(given):
        known = any(matches(pattern, event_type) for event_type in EVENT_TYPES)
        if not _PATTERN.fullmatch(pattern) or not (known or pattern.startswith(ALERTS)):
            words = ", ".join([*EVENT_TYPES, "alert.*"])
            raise InvalidInput(
                f"There is no event of this name; known: {words}.", attr=f"event_types.{position}"
            )
    return list(dict.fromkeys(given))


def shown_url(endpoint: WebhookEndpoint) -> str:
    """The URL for people: Slack's without its path, because whoever knows it can post."""
    if endpoint.setting:
        return f"from the setting {endpoint.setting}"
    if endpoint.kind == WebhookKind.SLACK:
        parts = urlsplit(endpoint.url)
        return f"{parts.scheme}://{parts.netloc}/…"
    return str(endpoint.url)


def _switch_on(row: WebhookEndpoint) -> None:
    row.is_active, row.disabled_at, row.disabled_reason = True, None, ""
    row.failing_since = row.last_failure_at = row.resume_at = None
    row.save()


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    row: WebhookEndpoint | None = (
        WebhookEndpoint.objects.select_for_update(no_key=True).filter(id=endpoint.id, setting="").first()
    )
    if row is None:
        raise Conflict("This endpoint cannot be changed here.", code="not_changeable")
    return row


def _refuse_inactive(endpoint: WebhookEndpoint) -> None:
    if not endpoint.is_active:
        raise Conflict("This endpoint is switched off; switch it on first.", code="endpoint_off")


def _description(given: str) -> str:
    text = given.strip()
    if len(text) > MAX_DESCRIPTION or not text.isprintable():
        raise InvalidInput(f"One line of at most {MAX_DESCRIPTION} characters.", attr="description")
    return text
