"""Makes the calls that HTTP steps asked for: outside of any transaction, and wakes the step with what came of it.

A call belongs to the worker that holds its lease. One whose worker died may have arrived or not: it is made again if
its method says that twice is as good as once (RFC 9110, 9.2.2); otherwise its outcome is that nobody knows.
"""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import transaction

from castcomm.common import http, sql
from castcomm.common.clock import now as current_time
from castcomm.common.ids import new_id
from notifications.providers.outcomes import retry_after_seconds
from workflows import doorbell
from workflows.engine.windows import wake
from workflows.models import CallStatus, HttpCall

log = structlog.get_logger(__name__)

LEASE = dt.timedelta(seconds=90)
CONCURRENCY = 16
MAX_ANSWER = 32 * 1024  # bytes of body that are kept
FIRST_PAUSE = 5.0  # seconds, doubled by each try
LONGEST_PAUSE = 900.0
UNKNOWN = "The connection was lost after the call was sent: nobody knows whether it was acted on."
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_RECOVER = """
UPDATE workflows_httpcall SET status = 'pending', lease_token = NULL, lease_until = NULL
 WHERE status = 'running' AND lease_until < %s AND method = ANY(%s)
"""
_LOST = """
SELECT id, lease_token FROM workflows_httpcall
 WHERE status = 'running' AND lease_until < %s LIMIT 100 FOR UPDATE SKIP LOCKED
"""
_CLAIM = """
WITH due AS MATERIALIZED (
  SELECT id FROM workflows_httpcall WHERE status = 'pending' AND due_at <= %s
   ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE workflows_httpcall c SET status = 'running', lease_token = %s, lease_until = %s, attempts = attempts + 1
  FROM due WHERE c.id = due.id RETURNING c.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of one try. ``again`` says that another may help, not before ``pause`` seconds."""

    status: int = 0
    body: Any = None
    error: str = ""
    again: bool = False
    unknown: bool = False
    pause: float = 0.0


def make_due_calls(*, budget: float = 20.0) -> int:
    """Make calls until none is due or ``budget`` seconds are over; returns how many."""
    deadline, made = time.monotonic() + budget, 0
    _recover(current_time())
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        while time.monotonic() < deadline:
            calls = _claim(current_time())
            if not calls:
                break
            # Threads only call; the database is this thread's.
            running = {threads.submit(_try, call): call for call in calls}
            for future in as_completed(running):
                _record(running[future].id, running[future].lease_token, future.result())
            made += len(calls)
    return made


def _claim(now: dt.datetime) -> list[HttpCall]:
    token = new_id()
    rows = sql.run(_CLAIM, (now, CONCURRENCY, token, now + LEASE))
    return list(HttpCall.objects.filter(id__in=[row[0] for row in rows], lease_token=token))


def _recover(now: dt.datetime) -> None:
    sql.count(_RECOVER, (now, sorted(_REPEATABLE)))
    with transaction.atomic():
        for call_id, token in sql.run(_LOST, (now,)):
            _record(call_id, token, Tried(error=UNKNOWN, unknown=True))


def _try(call: HttpCall) -> Tried:
    headers = {**orjson.loads(call.headers or "{}"), "Idempotency-Key": str(call.step_run_id)}
    try:
        answer = http.request(
            call.method,
            call.url,
            headers=headers,
            body=call.body.encode() if call.body else None,
            timeout=call.timeout,
            max_bytes=MAX_ANSWER,
            allow_loopback=settings.WEBHOOKS_TO_LOOPBACK,
        )
    except http.RequestFailed as error:
        repeatable = error.sent is False or call.method in _REPEATABLE
        unknown = error.sent is None and not repeatable
        again = error.retryable and repeatable
        return Tried(
            error=UNKNOWN if unknown and error.retryable else error.message, again=again, unknown=unknown
        )
    except Exception as error:
        # A defect here must not hold up the others; the step gets it as its outcome.
        log.error("workflow.call_error", call_id=str(call.id), exc_info=error)
        return Tried(error="The call could not be made.")
    pause = retry_after_seconds(answer.headers) or 0.0
    return Tried(
        status=answer.status, body=_content(answer), again=answer.status in _AGAIN, pause=min(pause, 86_400)
    )


def _content(answer: http.Answer) -> Any:
    """The body as JSON if it is some, otherwise as text that PostgreSQL can keep."""
    text = answer.body.decode("utf-8", "replace").replace("\x00", "")
    kind = next((value for name, value in answer.headers.items() if name.lower() == "content-type"), "")
    if "json" in kind.lower() and "\\u0000" not in text:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
    return text


def _record(call_id: uuid.UUID, token: uuid.UUID | None, tried: Tried) -> None:
    now = current_time()
    with transaction.atomic():
        call = HttpCall.objects.select_for_update(no_key=True).filter(id=call_id, lease_token=token).first()
        if call is None or call.status != CallStatus.RUNNING:
            return
        call.lease_token = call.lease_until = None
        if tried.again and call.attempts <= call.retries:
            call.status, call.due_at = CallStatus.PENDING, now + _pause(call.attempts, tried.pause)
            call.save(update_fields=["status", "due_at", "lease_token", "lease_until"])
            return
        call.status = _end(tried)
        call.outcome = {"status": tried.status, "body": tried.body, "error": tried.error}
        call.finished_at = now
        # What may be secret is needed no more.
        call.url = call.headers = call.body = ""
        call.save()
        wake({call.step_run_id: now})
        doorbell.ring_on_commit()


def _end(tried: Tried) -> CallStatus:
    if tried.unknown:
        return CallStatus.UNKNOWN
    return CallStatus.DONE if tried.status else CallStatus.FAILED


def _pause(attempts: int, asked: float) -> dt.timedelta:
    ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempts - 1))
    return dt.timedelta(seconds=max(asked, random.uniform(ceiling / 2, ceiling)))  # noqa: S311
