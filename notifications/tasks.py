"""Celery's side: tasks only call a service. Arguments are plain values, so that old messages stay readable."""

from __future__ import annotations

from celery import shared_task

from castcomm.common.api.idempotency import forget_old_requests
from notifications.services import (
    attending,
    dispatch,
    doorbell,
    fanout,
    push_subscriptions,
    webhook_dispatch,
    webhook_outbox,
)


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
def forget_idempotent_requests() -> int:
    """Delete answers kept for ``Idempotency-Key`` that are older than a day."""
    return forget_old_requests()


@shared_task(name="notifications.tasks.forget_unused_devices")
def forget_unused_devices() -> int:
    """Remove devices that neither took a push nor reported for a long time."""
    return push_subscriptions.forget_unused()


@shared_task(name="notifications.tasks.drain_webhooks")
def drain_webhooks() -> int:
    """Tell customers' endpoints what is due."""
    return webhook_dispatch.drain()


@shared_task(name="notifications.tasks.sweep_webhooks")
def sweep_webhooks() -> bool:
    """Ring when an endpoint is to be told something although nobody rang."""
    return webhook_dispatch.sweep()


@shared_task(name="notifications.tasks.prune_webhooks")
def prune_webhooks() -> int:
    """Delete outgoing webhooks that are older than 30 days."""
    return webhook_outbox.prune()
