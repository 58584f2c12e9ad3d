"""Tells endpoints what happened: claims what is due, calls side by side, records each answer as it comes.

A slow endpoint holds nobody up: calls are bounded in time and in number per endpoint, endpoints that fail share a part
of a worker's calls, and whatever has been answered is settled while the rest still runs. Threads only make calls;
the database is the worker's own thread's.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import random
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import orjson
import structlog
from django.conf import settings

from castcomm.common import http
from castcomm.common.clock import now as current_time
from castcomm.common.crypto import DecryptionFailed, decrypt
from notifications.models import WebhookKind
from notifications.providers.outcomes import retry_after_seconds
from notifications.services import doorbell, webhook_health, webhook_outbox
from notifications.services.webhook_form import Call, Event, slack_call, standard_call
from notifications.services.webhook_outbox import Claimed, Outcome

log = structlog.get_logger(__name__)

BUDGET = 20.0  # seconds; then other work gets its turn
TIMEOUT = 15.0  # seconds for one call in all
CONCURRENCY = 32  # calls at once in one worker …
FAILING = 8  # … of which to endpoints that fail
ANSWER_BYTES = 1024
HOLD_AGAIN = 1.0  # seconds
# Waits between the attempts. Together they reach over three days.
SCHEDULE = tuple(
    dt.timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
JITTER = 0.2  # of each wait, either way
NOT_CONFIGURED = "The setting that names this address is empty now."

_Running = dict[Future[Outcome], Claimed]


def drain(*, budget: float = BUDGET) -> int:
    """Make calls until nothing is due or ``budget`` seconds are over; returns how many were made.

    The bell is held meanwhile: one worker is enough, and the sweep rings again for what it leaves.
    """
    started, held, made = time.monotonic(), -HOLD_AGAIN, 0
    running: _Running = {}
    while True:
        now = time.monotonic()
        if now - held >= HOLD_AGAIN:
            doorbell.hold(doorbell.WEBHOOKS)
            held = now
        fresh = _start(running) if now - started < budget else 0
        made += fresh
        if not running:
            break
        _finish(running, patience=0.5 if len(running) < CONCURRENCY else HOLD_AGAIN)
    doorbell.heard(doorbell.WEBHOOKS)
    if webhook_outbox.is_due():
        doorbell.ring_webhooks()
    return made


def sweep() -> bool:
    """Ring when something is due that nobody has; Beat's part, which makes Redis and every worker expendable."""
    if not webhook_outbox.is_due():
        return False
    doorbell.ring_webhooks()
    return True


def _start(running: _Running) -> int:
    """Claim as much as there is room for and begin to call."""
    failing = sum(one.failing for one in running.values())
    room = CONCURRENCY - len(running)
    if room <= 0:
        return 0
    claimed = webhook_outbox.claim(limit=room, failing_limit=max(0, FAILING - failing))
    for one in claimed:
        running[_pool(os.getpid()).submit(call, one)] = one
    return len(claimed)


def _finish(running: _Running, *, patience: float) -> None:
    """Settle what has been answered; waits up to ``patience`` seconds for the first."""
    done, _ = wait(running, timeout=patience, return_when=FIRST_COMPLETED)
    for future in done:
        _settle(running.pop(future), future.result())


def _settle(claimed: Claimed, outcome: Outcome) -> None:
    if not outcome.delivered and not outcome.gone:
        outcome = _again(claimed, outcome)
    counts = webhook_outbox.settle(claimed, outcome)
    if outcome.delivered:
        webhook_health.succeeded(claimed.endpoint_id)
    elif counts:
        webhook_health.failed(claimed.endpoint_id, gone=outcome.gone, retry_after=outcome.retry_after)


def _again(claimed: Claimed, outcome: Outcome) -> Outcome:
    """The failure with the moment of the next attempt, if there is one."""
    tries = claimed.attempts - claimed.forgiven
    if tries > len(SCHEDULE) or outcome.detail == NOT_CONFIGURED:
        return outcome
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards no secret
    pause = max((SCHEDULE[tries - 1] * spread).total_seconds(), outcome.retry_after or 0.0)
    return Outcome(
        delivered=False,
        status_code=outcome.status_code,
        detail=outcome.detail,
        answer=outcome.answer,
        elapsed_ms=outcome.elapsed_ms,
        retry_after=outcome.retry_after,
        due_at=current_time() + dt.timedelta(seconds=pause),
    )


def call(claimed: Claimed) -> Outcome:
    """Tell one endpoint one message; never raises. Runs in a thread and does not touch the database."""
    started = time.monotonic()
    try:
        made = _call_of(claimed)
        if made is None:
            return Outcome(delivered=False, detail=NOT_CONFIGURED)
        url, what = made
        answer = _client(os.getpid(), settings.WEBHOOKS_TO_LOOPBACK).request(
            "POST",
            url,
            headers=what.headers,
            body=what.body,
            timeout=TIMEOUT,
            max_bytes=ANSWER_BYTES,
            cut_off=True,
        )
    except http.RequestFailed as error:
        return Outcome(delivered=False, detail=error.message, elapsed_ms=_since(started))
    except DecryptionFailed as error:
        return Outcome(delivered=False, detail=str(error))
    except Exception as error:
        log.exception("webhook.unexpected", delivery_id=str(claimed.id))
        return Outcome(delivered=False, detail=f"{type(error).__name__}: {error}", elapsed_ms=_since(started))
    return _judged(answer, _since(started))


def _judged(answer: http.Answer, elapsed_ms: int) -> Outcome:
    delivered = 200 <= answer.status < 300
    detail = ""
    if not delivered:
        redirect = " A redirect is not followed." if 300 <= answer.status < 400 else ""
        detail = f"It answered {answer.status}.{redirect}"
    return Outcome(
        delivered=delivered,
        status_code=answer.status,
        detail=detail,
        answer=answer.body.decode("utf-8", "replace").replace("\x00", ""),
        elapsed_ms=elapsed_ms,
        retry_after=None if delivered else retry_after_seconds(answer.headers),
        gone=answer.status == 410,
    )


def _call_of(claimed: Claimed) -> tuple[str, Call] | None:
    """Where to, and what; None when a setting that named the address is empty now."""
    if claimed.setting:
        url = str(getattr(settings, claimed.setting, ""))
        keys = [settings.ALERT_WEBHOOK_SECRET]
    else:
        url, keys = decrypt(claimed.url), _keys(claimed)
    if not url:
        return None
    data = orjson.loads(claimed.payload)
    if claimed.include_address and claimed.address:
        data["address"] = decrypt(claimed.address)
    event = Event(id=claimed.message_id, type=claimed.event_type, occurred_at=claimed.occurred_at, data=data)
    if claimed.kind == WebhookKind.SLACK:
        return url, slack_call(event)
    return url, standard_call(event, secrets=keys, now=current_time())


def _keys(claimed: Claimed) -> list[str]:
    if claimed.kind == WebhookKind.SLACK:
        return []
    keys = [decrypt(claimed.secret)]
    if claimed.previous_secret and (claimed.previous_secret_until or current_time()) > current_time():
        keys.append(decrypt(claimed.previous_secret))
    return keys


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)


@functools.lru_cache(maxsize=2)
def _client(_process: int, loopback: bool) -> http.Client:
    """The connections of this process; a forked child makes its own."""
    return http.Client(allow_loopback=loopback, per_host=webhook_outbox.PER_ENDPOINT)


@functools.lru_cache(maxsize=1)
def _pool(_process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=CONCURRENCY, thread_name_prefix="webhook")
