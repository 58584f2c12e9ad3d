"""Celery's side: tasks only call a service. Arguments are plain values, so that old messages stay readable."""

from __future__ import annotations

import datetime as dt

from celery import shared_task

from notifications.services import (
    attending,
    dispatch,
    doorbell,
    fanout,
    inbox_lifecycle,
    retention,
    webhook_dispatch,
)
from notifications.services.digests import closing
from notifications.services.lifecycle import run_job

SHORT = dt.timedelta(minutes=1)
LONG = dt.timedelta(minutes=30)


@shared_task(name="notifications.tasks.drain")
def drain(channel: str, priority: int) -> int:
    """Send what is due on one channel at one priority, and what becomes due meanwhile."""
    return attending.attend(channel, priority)


@shared_task(name="notifications.tasks.run_fanout")
def run_fanout() -> int:
    """Turn chunks of large audiences into notifications."""
    doorbell.heard("fanout")
    return fanout.run()


@shared_task(name="notifications.tasks.sweep")
def sweep() -> int:
    """Find what is due although nobody rang, and what dead workers held."""
    return dispatch.sweep()


@shared_task(name="notifications.tasks.forget_idempotent_requests")
def forget_idempotent_requests() -> int | None:
    """Delete answers kept for ``Idempotency-Key`` that are older than a day."""
    return run_job("idempotency keys", retention.forget_idempotent, lease=LONG)


@shared_task(name="notifications.tasks.forget_unused_devices")
def forget_unused_devices() -> int | None:
    """Remove devices that neither took a push nor reported for a long time."""
    return run_job("devices", retention.forget_devices, lease=LONG)


@shared_task(name="notifications.tasks.drain_webhooks")
def drain_webhooks() -> int:
    """Tell customers' endpoints what is due."""
    return webhook_dispatch.drain()


@shared_task(name="notifications.tasks.sweep_webhooks")
def sweep_webhooks() -> bool:
    """Ring when an endpoint is to be told something although nobody rang."""
    return webhook_dispatch.sweep()


@shared_task(name="notifications.tasks.prune_webhooks")
def prune_webhooks() -> int | None:
    """Delete outgoing webhooks that are older than 30 days."""
    return run_job("webhooks", retention.prune_webhooks, lease=LONG)


@shared_task(name="notifications.tasks.unsnooze")
def unsnooze() -> int | None:
    """Bring back what was put aside until now."""
    return run_job("unsnooze", inbox_lifecycle.unsnooze, lease=SHORT)


@shared_task(name="notifications.tasks.expire")
def expire() -> int | None:
    """Put what has expired out of the inboxes, and give up what waits of it."""
    return run_job("expire", inbox_lifecycle.expire, lease=LONG)


@shared_task(name="notifications.tasks.archive")
def archive() -> int | None:
    """Put into the archive what is old."""
    return run_job("archive", inbox_lifecycle.archive, lease=LONG)


@shared_task(name="notifications.tasks.prune")
def prune() -> int | None:
    """Delete what is older than its organization wants to keep it."""
    return run_job("retention", retention.prune, lease=LONG)


@shared_task(name="notifications.tasks.close_digests")
def close_digests() -> int | None:
    """Send the digests whose time has come."""
    return run_job("digests", lambda run: closing.close_due(stop=run.out_of_time), lease=SHORT)
