"""What a receipt does to a delivery: a delivery only ever moves to a state that says more.

The table stands in docs/receipts.md. States have ranks, and a receipt names one; the higher rank stays. Therefore the
order in which receipts come in does not matter.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from notifications.vocabulary import DeliveryStatus, Outcome, Reason, ReceiptKind

# Everything else has rank 0: it waits, it is being sent, nobody knows, or it was given up here.
RANKS: dict[str, int] = {
    DeliveryStatus.SENT: 1,
    DeliveryStatus.FAILED: 2,
    DeliveryStatus.DELIVERED: 3,
    DeliveryStatus.BOUNCED: 4,
    DeliveryStatus.OPENED: 5,
    DeliveryStatus.CLICKED: 6,
    DeliveryStatus.COMPLAINED: 7,
}
NAMED: dict[str, tuple[DeliveryStatus, Reason]] = {
    ReceiptKind.ACCEPTED: (DeliveryStatus.SENT, Reason.ACCEPTED),
    # Who reports a delay, a soft bounce or that somebody unsubscribed has taken the message.
    ReceiptKind.DEFERRED: (DeliveryStatus.SENT, Reason.ACCEPTED),
    ReceiptKind.SOFT_BOUNCED: (DeliveryStatus.SENT, Reason.ACCEPTED),
    ReceiptKind.UNSUBSCRIBED: (DeliveryStatus.SENT, Reason.ACCEPTED),
    ReceiptKind.FAILED: (DeliveryStatus.FAILED, Reason.PROVIDER_FAILED),
    ReceiptKind.DELIVERED: (DeliveryStatus.DELIVERED, Reason.DELIVERED),
    ReceiptKind.BOUNCED: (DeliveryStatus.BOUNCED, Reason.BOUNCED),
    ReceiptKind.OPENED: (DeliveryStatus.OPENED, Reason.OPENED),
    ReceiptKind.CLICKED: (DeliveryStatus.CLICKED, Reason.CLICKED),
    ReceiptKind.COMPLAINED: (DeliveryStatus.COMPLAINED, Reason.COMPLAINED),
}
TROUBLE = (DeliveryStatus.FAILED, DeliveryStatus.BOUNCED, DeliveryStatus.COMPLAINED)
_KNOWN = (Outcome.SENT, Outcome.PERMANENT)  # how an attempt ended is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A receipt, as far as it matters for the state of its delivery. ``account`` is empty for our own tracking."""

    kind: str
    provider: str
    account: str
    provider_message_id: str
    occurred_at: dt.datetime
    detail: str
    is_automatic: bool


@dataclass(slots=True)
class Tried:
    """An attempt of the delivery; ``outcome`` is empty while it runs, ``resolved`` when a receipt has changed it."""

    id: uuid.UUID
    provider: str
    account: str
    outcome: str
    provider_message_id: str
    started_at: dt.datetime
    resolved: bool = False


@dataclass(slots=True)
class Standing:
    """A delivery with its attempts in order, and what receipts make of it."""

    id: uuid.UUID
    notification_id: uuid.UUID
    organization_id: uuid.UUID
    channel: str
    before: str
    before_reason: str
    provider: str
    account: str
    provider_message_id: str
    error: str
    attempts: list[Tried] = field(default_factory=list)
    status: str = ""
    reason: str = ""
    mover: Evidence | None = None
    delivered_at: dt.datetime | None = None
    opened_at: dt.datetime | None = None
    clicked_at: dt.datetime | None = None
    sent_at: dt.datetime | None = None

    def __post_init__(self) -> None:
        self.status, self.reason = self.before, self.before_reason

    @property
    def rank(self) -> int:
        """How much its state says. What failed here, before a provider had it, says nothing yet."""
        if self.status == DeliveryStatus.FAILED and self.reason != Reason.PROVIDER_FAILED:
            return 0
        return RANKS.get(self.status, 0)

    @property
    def has_moved(self) -> bool:
        return self.mover is not None


def apply(standing: Standing, evidence: Iterable[Evidence]) -> None:
    """Let receipts move the delivery; the order in which they are given makes no difference."""
    for one in sorted(evidence, key=_weight):
        attempt = _attempt_of(standing.attempts, one)
        _move(standing, one, attempt)
        if attempt is not None:
            _resolve(attempt, one)
        _note_time(standing, one)


def _weight(one: Evidence) -> tuple[int, dt.datetime]:
    return RANKS[NAMED[one.kind][0]], one.occurred_at


def _attempt_of(attempts: Sequence[Tried], one: Evidence) -> Tried | None:
    """The attempt that a receipt is about: named by the provider's id, or else the last of that provider that it may
    be. What CastComm has seen itself is about the last one."""
    theirs = [made for made in attempts if made.provider == one.provider or not one.account]
    if one.provider_message_id:
        named = [made for made in theirs if made.provider_message_id == one.provider_message_id]
        if named:
            return named[-1]
    open_ones = [made for made in theirs if made.outcome not in _KNOWN]
    return (open_ones or theirs or [None])[-1]  # type: ignore[list-item]


def _move(standing: Standing, one: Evidence, attempt: Tried | None) -> None:
    status, reason = NAMED[one.kind]
    if one.is_automatic or RANKS[status] <= standing.rank or not _is_news(standing, status, attempt):
        return
    if standing.rank == 0:
        _take_over(standing, one, attempt)
    standing.status, standing.reason, standing.mover = status, reason, one
    standing.error = one.detail if status in TROUBLE else ""


def _is_news(standing: Standing, status: DeliveryStatus, attempt: Tried | None) -> bool:
    """Whether the receipt can say something about the delivery, and not only about an attempt that is past.

    That a provider took the message, or gave it up, says nothing of a delivery that somebody requeued afterwards, nor,
    when it gave up, of one that another provider has taken since.
    """
    if status not in (DeliveryStatus.SENT, DeliveryStatus.FAILED):
        return True
    if attempt is None or (standing.rank == 0 and attempt.outcome in _KNOWN):
        return False
    return status == DeliveryStatus.SENT or attempt is standing.attempts[-1]


def _take_over(standing: Standing, one: Evidence, attempt: Tried | None) -> None:
    """It was sent after all: through whom, and when that began."""
    standing.sent_at = attempt.started_at if attempt else one.occurred_at
    if attempt is not None:
        standing.provider, standing.account = attempt.provider, attempt.account or one.account
        standing.provider_message_id = attempt.provider_message_id
        if one.account:
            standing.provider_message_id = standing.provider_message_id or one.provider_message_id


def _resolve(attempt: Tried, one: Evidence) -> None:
    """Whether the provider had taken it: a receipt knows better than a connection that broke."""
    outcome = Outcome.PERMANENT if one.kind == ReceiptKind.FAILED else Outcome.SENT
    if one.is_automatic or attempt.outcome in (Outcome.SENT, outcome):
        return
    attempt.outcome, attempt.resolved = outcome, True
    if one.account and not attempt.provider_message_id:
        attempt.provider_message_id = one.provider_message_id


def _note_time(standing: Standing, one: Evidence) -> None:
    if one.is_automatic:
        return
    if one.kind == ReceiptKind.DELIVERED:
        standing.delivered_at = _earlier(standing.delivered_at, one.occurred_at)
    elif one.kind == ReceiptKind.OPENED:
        standing.opened_at = _earlier(standing.opened_at, one.occurred_at)
    elif one.kind == ReceiptKind.CLICKED:
        standing.clicked_at = _earlier(standing.clicked_at, one.occurred_at)


def _earlier(first: dt.datetime | None, second: dt.datetime) -> dt.datetime:
    return second if first is None else min(first, second)
