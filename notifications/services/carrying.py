"""Carries composed messages through the provider accounts of an organization, with failover.

For each account in turn: slices as wide as its concurrency. Before a slice is sent its attempts are written; afterwards
it is settled. A worker that is killed leaves at most one slice whose outcome nobody knows. What an account has
definitely refused goes on to the next one at once; what may have left goes nowhere else. The table of outcomes
stands in docs/notification.md.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import random
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.conf import settings

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.providers.base import Account, Provider, Result
from notifications.services import outbox
from notifications.services.composing import Job
from notifications.services.outbox import Beginning, Lease, Settled
from notifications.services.provider_accounts import accounts_for, provider_of
from notifications.services.retrying import try_again
from notifications.services.suppressions import suppress_address
from notifications.vocabulary import DeliveryStatus, Outcome, Reason

log = structlog.get_logger(__name__)


def carry(lease: Lease, jobs: Sequence[Job], *, channel: str) -> None:
    """Send the jobs of one claimed batch and settle each of them."""
    by_organization: dict[uuid.UUID, list[Job]] = {}
    for job in jobs:
        by_organization.setdefault(job.organization_id, []).append(job)
    for organization_id, theirs in by_organization.items():
        _Pass(lease, channel, accounts_for(channel, organization_id)).carry(theirs)


@dataclass(frozen=True, slots=True)
class _Pause:
    """Why an account takes nothing more in this pass, and for how many seconds."""

    reason: Reason
    seconds: float


@dataclass(slots=True)
class _Tried:
    """A try that came to nothing, not yet written down."""

    attempt_id: uuid.UUID
    account: Account
    result: Result


@dataclass(slots=True)
class _Pass:
    """The messages of one organization in one batch, on their way through its accounts."""

    lease: Lease
    channel: str
    accounts: list[Account]
    paused: dict[str, _Pause] = field(default_factory=dict)
    tried: dict[uuid.UUID, _Tried] = field(default_factory=dict)
    put_back: list[Settled] = field(default_factory=list)

    def carry(self, jobs: list[Job]) -> None:
        while jobs:
            shares = self._shares(jobs)
            jobs = []
            for account, theirs in shares:
                jobs += self._send_through(account, theirs)
        outbox.settle(self.lease, self.put_back, now=current_time())

    def _shares(self, jobs: Sequence[Job]) -> list[tuple[Account, list[Job]]]:
        """Who is to be asked for which jobs; those whom nobody can carry now are put back."""
        shares: dict[str, list[Job]] = {}
        for job in jobs:
            account = self._choose(job)
            if account is None:
                self.put_back.append(self._for_later(job))
            else:
                shares.setdefault(account.key, []).append(job)
        return [(account, shares[account.key]) for account in self.accounts if account.key in shares]

    def _choose(self, job: Job) -> Account | None:
        """The next account in order; those of one position share by weight."""
        usable = [
            one
            for one in self.accounts
            if one.key not in job.refused_by and one.key not in self.paused and job.pinned in ("", one.key)
        ]
        first = [one for one in usable if one.position == usable[0].position]
        if len(first) < 2:
            return first[0] if first else None
        return random.choices(first, [max(one.weight, 1) for one in first])[0]  # noqa: S311 - shares load

    def _send_through(self, account: Account, jobs: list[Job]) -> list[Job]:
        """Send slice by slice until the account is paused; returns the jobs that somebody else is to be asked for."""
        provider = provider_of(account)
        self._close_tried(jobs)
        rest = list(jobs)
        onward: list[Job] = []
        slice_ = self._settle_and_begin([], account, _take(rest, provider.concurrency))
        while slice_.jobs:
            results = deliver_all(provider, [job.message for job in slice_.jobs])
            settled = []
            for job, attempt_id, result in zip(slice_.jobs, slice_.attempts, results, strict=True):
                made = self._judge(job, _Tried(attempt_id, account, result), provider)
                if made is None:
                    onward.append(job)
                else:
                    settled.append(made)
            self._learn_from(account, results)
            following = [] if account.key in self.paused else _take(rest, provider.concurrency)
            done, slice_ = slice_, self._settle_and_begin(settled, account, following)
            self._suppress(done.jobs, results)
        return onward + rest

    def _settle_and_begin(self, settled: list[Settled], account: Account, jobs: list[Job]) -> _Slice:
        """Write how the last slice ended and that the next one begins, in one statement."""
        now = current_time()
        if jobs and self.lease.until - now < settings.DELIVERY_LEASE / 2:
            ours = outbox.extend(self.lease, [job.delivery_id for job in jobs], now=now)
            jobs = [job for job in jobs if job.delivery_id in ours]
        if not jobs:
            outbox.settle(self.lease, settled, now=now)
            return _Slice([], [])
        for job in jobs:
            job.attempts += 1
        beginning = Beginning(
            [job.delivery_id for job in jobs], [job.attempts for job in jobs], account.provider, account.key
        )
        outbox.settle(self.lease, settled, now=now, then=beginning)
        return _Slice(jobs, beginning.ids)

    def _judge(self, job: Job, tried: _Tried, provider: Provider[Any]) -> Settled | None:
        """How the delivery stands after a try; None when the next account is to be asked at once."""
        result = tried.result
        if result.outcome == Outcome.SENT:
            return _settled(job, tried, DeliveryStatus.SENT, Reason.ACCEPTED)
        if result.outcome == Outcome.PERMANENT:
            return _settled(job, tried, DeliveryStatus.FAILED, Reason.REFUSED)
        if result.outcome == Outcome.UNKNOWN and not job.duplicates_allowed:
            if not provider.idempotent:
                return _settled(job, tried, DeliveryStatus.UNKNOWN, Reason.AMBIGUOUS)
            job.pinned = tried.account.key
        job.refused_by.append(tried.account.key)
        self.tried[job.delivery_id] = tried
        return None

    def _for_later(self, job: Job) -> Settled:
        """A delivery that no account takes now."""
        tried = self.tried.pop(job.delivery_id, None)
        now = current_time()
        if tried is None:
            return self._not_tried(job)
        reason = Reason.SAME_PROVIDER if job.pinned else Reason.RETRYING
        made = _settled(job, tried, DeliveryStatus.PENDING, reason)
        try_again(
            made,
            job.attempts - job.forgiven,
            retry_after=tried.result.retry_after,
            now=now,
            accounts=1 if job.pinned else len(self.accounts),
            may_have_left=bool(job.pinned),
        )
        return made

    def _not_tried(self, job: Job) -> Settled:
        if job.pinned and all(one.key != job.pinned for one in self.accounts):
            made = Settled(job.delivery_id, DeliveryStatus.UNKNOWN, Reason.AMBIGUOUS, job.attempts)
            made.error = "The account that may have sent it is gone."
            return made
        pauses = [pause for key, pause in self.paused.items() if job.pinned in ("", key)]
        soonest = min(pauses, key=lambda pause: pause.seconds)
        reason = Reason.SAME_PROVIDER if job.pinned else soonest.reason
        made = Settled(job.delivery_id, DeliveryStatus.PENDING, reason, job.attempts)
        made.account, made.version_id = job.pinned, job.version_id
        # Spread a little, so that not everything that waited comes back in the same moment.
        wait = soonest.seconds * random.uniform(1.0, 1.1)  # noqa: S311 - spreads load, guards no secret
        made.due_at = current_time() + dt.timedelta(seconds=max(wait, 0.1))
        return made

    def _close_tried(self, jobs: Sequence[Job]) -> None:
        """Write down how the tries before this one ended."""
        tried = [one for job in jobs if (one := self.tried.pop(job.delivery_id, None)) is not None]
        closed = [(one.attempt_id, one.result.outcome, one.result.detail) for one in tried]
        outbox.close_attempts(closed, now=current_time())
        if tried:
            log.warning(
                "dispatch.failover", channel=self.channel, count=len(tried), refused_by=tried[0].account.key
            )

    def _learn_from(self, account: Account, results: Sequence[Result]) -> None:
        """Ask an account nothing more in this pass that wants to be left alone."""
        told = [
            one.retry_after
            for one in results
            if one.outcome == Outcome.NOT_SENT and one.retry_after and not one.about_recipient
        ]
        if told:
            self.paused[account.key] = _Pause(Reason.RETRYING, max(told))

    def _suppress(self, jobs: Sequence[Job], results: Sequence[Result]) -> None:
        """Put addresses on the suppression list of which the provider says that they are not to be sent to."""
        for job, result in zip(jobs, results, strict=True):
            if result.suppress is None:
                continue
            try:
                suppress_address(
                    organization=Organization(id=job.organization_id),
                    channel=self.channel,
                    address=job.message.to,
                    reason=result.suppress,
                    detail=result.detail,
                )
            except InvalidInput as error:
                log.warning("dispatch.not_suppressed", delivery_id=str(job.delivery_id), error=str(error))


@dataclass(slots=True)
class _Slice:
    """Jobs on their way at the same time, and the ids of their attempts."""

    jobs: list[Job]
    attempts: list[uuid.UUID]


def _take(rest: list[Job], count: int) -> list[Job]:
    taken = rest[:count]
    del rest[:count]
    return taken


def _settled(job: Job, tried: _Tried, status: DeliveryStatus, reason: Reason) -> Settled:
    result = tried.result
    return Settled(
        job.delivery_id,
        status,
        reason,
        job.attempts,
        attempt_id=tried.attempt_id,
        outcome=result.outcome,
        error=result.detail,
        provider=tried.account.provider,
        account=tried.account.key,
        provider_message_id=result.provider_message_id,
        segments=job.segments,
        version_id=job.version_id,
    )


def deliver_all(provider: Provider[Any], messages: Sequence[Any]) -> list[Result]:
    """Deliver side by side, as wide as the provider's answers are slow; results in the order of the messages."""
    width = min(provider.width(), len(messages))

    def lane(first: int) -> list[Result]:
        return provider.deliver_in_turn(messages[first::width])

    lanes = (
        [lane(0)] if width == 1 else list(_pool(os.getpid(), provider.concurrency).map(lane, range(width)))
    )
    results = [lanes[position % width][position // width] for position in range(len(messages))]
    provider.learn(min(result.elapsed for result in results))
    return results


@functools.lru_cache(maxsize=8)
def _pool(_process: int, width: int) -> ThreadPoolExecutor:
    """The sending threads of this process (a forked child makes its own)."""
    return ThreadPoolExecutor(max_workers=width, thread_name_prefix="send")
