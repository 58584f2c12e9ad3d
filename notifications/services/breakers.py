"""Circuit breakers: an account that fails is left alone for a while, by all workers alike.

A breaker opens after five failures in a row, or when half of at least 20 calls within 30 s failed. It stays open for
30 s, twice as long with each further opening in a row, ten minutes at the most. Then one message, from
one worker, is let through as a probe: its success closes the breaker, its failure opens it again.

The state lives in Redis (``breaker_script``). The table ``ProviderBreaker`` holds it for staff, and for workers while
Redis is away or was flushed (``breaker_rows``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog
from django.db import DatabaseError
from prometheus_client import Counter

from castcomm.common.ids import new_id
from castcomm.monitoring.redaction import redact_text
from notifications.models import BreakerState, ProviderBreaker
from notifications.services import breaker_rows, breaker_script, shared_scripts
from notifications.services.alerts import raise_alert
from notifications.services.breaker_script import Answer, BreakerView
from notifications.services.provider_accounts import account_by_key, all_accounts

__all__ = ["BreakerView", "Permit", "open_by_hand", "permit", "record", "reset", "states"]

log = structlog.get_logger(__name__)

TRUST = 0.5  # seconds for which a process goes by the state it has seen, and keeps successes to itself
REASON_LENGTH = 500
_changes = Counter(
    "castcomm_provider_breaker_changes", "State changes of circuit breakers.", ["account", "change"]
)


@dataclass(frozen=True, slots=True)
class Permit:
    """Whether an account may be used: ``closed`` (yes), ``probe`` (for one message), or ``open`` (no).

    ``retry_in`` is in seconds, when it is open.
    """

    state: str
    retry_in: float = 0.0


@dataclass(slots=True)
class _Seen:
    """What this process knows of one account; ``outages`` is how many of Redis' it had seen by then."""

    permit: Permit | None = None
    seen_at: float = 0.0
    token: str = ""
    outages: int = -1
    succeeded: int = 0
    told_at: float = 0.0


_lock = threading.Lock()
_seen: dict[str, _Seen] = {}


def permit(account_key: str) -> Permit:
    """Ask before sending through an account. Who gets ``probe`` sends one message and must ``record`` it.

    What was seen within ``TRUST`` seconds is not asked for again. Waits for Redis as ``SharedScript`` does.
    """
    seen = _of(account_key)
    now = time.monotonic()
    known, since = seen.permit, now - seen.seen_at
    if known is not None and since < TRUST and (known.state == "closed" or since < known.retry_in):
        return Permit(known.state, max(known.retry_in - since, 0.0))
    token = new_id().hex
    answer = _shared(account_key, lambda: breaker_script.permit(account_key, token))
    if answer is None:
        answer = breaker_rows.permit(account_key)
    if answer.verdict == "probe":
        with _lock:
            seen.token, seen.permit = token, None
        _changed(account_key, answer, "half_open")
        return Permit("probe")
    made = Permit(answer.verdict, answer.retry_in)
    seen.permit, seen.seen_at = made, now
    return made


def record(account_key: str, *, succeeded: int, failed: int, reason: str) -> None:
    """Tell what came of calls through an account; never raises.

    Counts neither what says nothing about the account (a refused recipient) nor what was not tried. A prober who
    tells of nothing gives the probe back. ``reason`` is shown to staff and must hold no secret.
    """
    seen = _of(account_key)
    now = time.monotonic()
    with _lock:
        token = seen.token
        if not token and not failed and now - seen.told_at < TRUST:
            seen.succeeded += succeeded
            return
        earlier, seen.succeeded, seen.token, seen.told_at = seen.succeeded, 0, "", now
    if not (token or earlier or succeeded or failed):
        return
    try:
        _record(account_key, token, earlier, succeeded, failed, reason[:REASON_LENGTH])
    except DatabaseError:
        log.exception("breaker.not_recorded", account=account_key)


def reset(account_key: str) -> None:
    """Close a breaker by hand: messages pass at once (in other processes after ``TRUST``)."""
    answer = breaker_script.reset(account_key)
    view = answer.view if answer and answer.view else breaker_rows.closed(account_key)
    _changed(account_key, Answer("closed", 0.0, view), "reset")


def open_by_hand(account_key: str, *, seconds: float, reason: str) -> None:
    """Stop an account for ``seconds``; then one probe decides, as always."""
    reason = reason[:REASON_LENGTH]
    answer = breaker_script.open_for(account_key, seconds=seconds, reason=reason)
    view = answer.view if answer and answer.view else None
    if view is None:
        view = breaker_rows.opened_for(account_key, seconds=seconds, reason=reason)
    _changed(account_key, Answer("open", 0.0, view), "stopped")


def states(accounts: Collection[str] | None = None) -> dict[str, BreakerView]:
    """The breakers of ``accounts`` by their keys, as the rows say; without any named, of all there are or were."""
    if accounts is None:
        used = ProviderBreaker.objects.values_list("account", flat=True)
        accounts = {*used, *(account.key for account in all_accounts())}
    rows = breaker_rows.read(accounts)
    return {
        key: rows.get(key) or BreakerView(account=key, state=BreakerState.CLOSED) for key in sorted(accounts)
    }


def forget() -> None:
    """Let this process know nothing; for tests and after a fork."""
    _seen.clear()
    breaker_rows.forget_tallies()


def _record(account_key: str, token: str, earlier: int, succeeded: int, failed: int, reason: str) -> None:
    answer = _shared(
        account_key,
        lambda: breaker_script.record(
            account_key, token=token, earlier=earlier, succeeded=succeeded, failed=failed, reason=reason
        ),
    )
    if answer is None:
        answer = breaker_rows.record(
            account_key, is_prober=bool(token), succeeded=earlier + succeeded, failed=failed, reason=reason
        )
    if answer.verdict in {"opened", "reopened", "closed", "returned"}:
        _changed(account_key, answer, answer.verdict)


def _shared(account_key: str, ask: Callable[[], Answer | None]) -> Answer | None:
    """Redis' answer, or None while it is away. What it forgot or missed meanwhile is taken from the row first."""
    seen = _of(account_key)
    if seen.outages != shared_scripts.outages() and not _adopt(account_key, seen):
        return None
    answer = ask()
    if answer is not None and answer.verdict == "missing":
        answer = ask() if _adopt(account_key, seen) else None
    return answer


def _adopt(account_key: str, seen: _Seen) -> bool:
    before = shared_scripts.outages()
    if breaker_script.adopt(breaker_rows.read_one(account_key)) is None:
        return False
    seen.outages = before
    breaker_rows.forget_tallies()
    return True


def _changed(account_key: str, answer: Answer, change: str) -> None:
    """Keep, count and tell a change of state."""
    seen = _of(account_key)
    seen.permit = None
    view = answer.view
    assert view is not None
    _changes.labels(account_key, change).inc()
    try:
        breaker_rows.write(view)
    except DatabaseError:
        log.exception("breaker.row_not_written", account=account_key)
    tell = log.warning if change in {"opened", "reopened", "stopped"} else log.info
    tell(
        f"breaker.{change}",
        account=account_key,
        failures=view.failures,
        openings=view.openings,
        open_until=view.open_until.isoformat() if view.open_until else None,
        reason=view.reason,
    )
    if change == "opened":
        _alert(view)


def _alert(view: BreakerView) -> None:
    """One alert per outage and account: openings after failed probes are no news."""
    try:
        account = account_by_key(view.account)
    except DatabaseError:
        account = None
    raise_alert(
        kind=f"breaker_open.{view.account}",
        title=f"{account.name if account else view.account} is left alone: it keeps failing",
        detail=redact_text(view.reason),
        severity="warning",
        organization_id=account.organization_id if account else None,
    )


def _of(account_key: str) -> _Seen:
    return _seen.setdefault(account_key, _Seen())
