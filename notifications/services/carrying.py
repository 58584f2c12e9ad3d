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
from itertools import compress
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.providers.base import Account, Provider, Result
from notifications.services import breakers, outbox, push_subscriptions, rate_limits, settling
from notifications.services.composing import Job
from notifications.services.outbox import Beginning, Lease, Settled
from notifications.services.provider_accounts import accounts_for, provider_of
from notifications.services.retrying import try_again
from notifications.services.suppressions import suppress_address
from notifications.vocabulary import Channel, DeliveryStatus, Outcome, Reason

log = structlog.get_logger(__name__)

MAX_SLICE_BYTES = 48 * 1024 * 1024  # of attachments


def carry(lease: Lease, jobs: Sequence[Job], *, channel: str) -> None:
    """Send the jobs of one claimed batch and settle each of them."""
    by_organization: dict[uuid.UUID, list[Job]] = {}
    for job in jobs:
        by_organization.setdefault(job.organization_id, []).append(job)
    for organization_id, theirs in by_organization.items():
        _Pass(lease, channel, organization_id, accounts_for(channel, organization_id)).carry(theirs)


@dataclass(frozen=True, slots=True)
class _Pause:
    """Why an account takes nothing more in this pass, and for how many seconds."""

    reason: Reason
    seconds: float


@dataclass(slots=True)
class _Tried:
    """A try at an account, and what came of it."""

    attempt_id: uuid.UUID
    account: Account
    result: Result
    is_closed: bool = False


@dataclass(slots=True)
class _Pass:
    """The messages of one organization in one batch, on their way through its accounts."""

    lease: Lease
    channel: str
    organization_id: uuid.UUID
    accounts: list[Account]
    paused: dict[str, _Pause] = field(default_factory=dict)
    tried: dict[uuid.UUID, _Tried] = field(default_factory=dict)
    put_back: list[Settled] = field(default_factory=list)
    not_tried: list[uuid.UUID] = field(default_factory=list)  # people whose limit was counted in vain

    def carry(self, jobs: list[Job]) -> None:
        jobs = self._without_overfed(jobs)
        while jobs:
            shares = self._shares(jobs)
            jobs = []
            for account, theirs in shares:
                jobs += self._send_through(account, theirs)
        settling.settle(self.lease, self.put_back, now=current_time())
        rate_limits.give_back_for_people(self.channel, self.not_tried)

    def _without_overfed(self, jobs: list[Job]) -> list[Job]:
        """Puts back what people who have reached their own limit are to get; critical news passes."""
        ordinary = [job for job in jobs if not job.critical]
        waits = rate_limits.waits_of_people(self.channel, [job.user_id for job in ordinary])
        waiting = {job.delivery_id for job, wait in zip(ordinary, waits, strict=True) if wait > 0}
        for job, wait in zip(ordinary, waits, strict=True):
            if wait > 0:
                self.put_back.append(_waiting(job, _Pause(Reason.RATE_LIMITED, wait)))
        return [job for job in jobs if job.delivery_id not in waiting]

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
        asked = [
            one for one in self.accounts if one.key not in job.refused_by and job.pinned in ("", one.key)
        ]
        usable = [one for one in asked if one.key not in self.paused]
        first = [one for one in usable if one.position == usable[0].position]
        limited = [one for one in asked if one.key in self.paused and self._is_limited(one)]
        if limited and (not first or limited[0].position < first[0].position):
            return None  # a limit is there to be kept, and not to be got round through a later account
        if len(first) < 2:
            return first[0] if first else None
        return random.choices(first, [max(one.weight, 1) for one in first])[0]  # noqa: S311 - shares load

    def _is_limited(self, account: Account) -> bool:
        return self.paused[account.key].reason == Reason.RATE_LIMITED

    def _send_through(self, account: Account, jobs: list[Job]) -> list[Job]:
        """Send what the account takes now; returns the jobs that are to be looked at again."""
        permit = breakers.permit(account.key)
        if permit.state == "open":
            self.paused[account.key] = _Pause(Reason.BREAKER_OPEN, permit.retry_in)
            return jobs
        wanted = 1 if permit.state == "probe" else len(jobs)
        grant = rate_limits.take(
            account,
            organization_id=self.organization_id,
            sends_per_minute=jobs[0].sends_per_minute,
            wanted=wanted,
        )
        granted, rest = jobs[: grant.granted], jobs[grant.granted :]
        onward = self._send_slices(account, granted)
        if permit.state == "probe":
            breakers.record(
                account.key, succeeded=0, failed=0, reason=""
            )  # given back, should it not be used up
        if grant.granted < wanted:
            self.paused.setdefault(account.key, _Pause(Reason.RATE_LIMITED, grant.retry_in))
        if granted:
            rate_limits.give_back(account, self.organization_id, len(granted))
        return onward + granted + rest

    def _send_slices(self, account: Account, rest: list[Job]) -> list[Job]:
        """Send slice by slice until the account is paused, taking from ``rest``; returns what it refused."""
        provider = provider_of(account)
        refused: list[Job] = []
        slice_ = self._settle_and_begin([], account, _take(rest, provider.concurrency))
        while slice_.jobs:
            results = deliver_all(provider, [job.message for job in slice_.jobs])
            settled = []
            for job, attempt_id, result in zip(slice_.jobs, slice_.attempts, results, strict=True):
                made = self._judge(job, _Tried(attempt_id, account, result), provider)
                if made is None:
                    refused.append(job)
                else:
                    settled.append(made)
            self._close_tried(refused)
            self._learn_from(account, results)
            following = [] if account.key in self.paused else _take(rest, provider.concurrency)
            done, slice_ = slice_, self._settle_and_begin(settled, account, following)
            self._suppress(done.jobs, results)
            if self.channel == Channel.PUSH:
                push_subscriptions.learn_from(results)
        return refused

    def _settle_and_begin(self, settled: list[Settled], account: Account, jobs: list[Job]) -> _Slice:
        """Write how the last slice ended and that the next one begins, in one statement."""
        now = current_time()
        if jobs and self.lease.until - now < settings.DELIVERY_LEASE / 2:
            ours = outbox.extend(self.lease, [job.delivery_id for job in jobs], now=now)
            jobs = [job for job in jobs if job.delivery_id in ours]
        if not jobs:
            settling.settle(self.lease, settled, now=now)
            return _Slice([], [])
        for job in jobs:
            job.attempts += 1
        beginning = Beginning(
            [job.delivery_id for job in jobs], [job.attempts for job in jobs], account.provider, account.key
        )
        settling.settle(self.lease, settled, now=now, then=beginning)
        begun = [job.delivery_id in beginning.begun for job in jobs]
        return _Slice(list(compress(jobs, begun)), list(compress(beginning.ids, begun)))

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
            made = Settled(
                job.delivery_id, job.organization_id, DeliveryStatus.UNKNOWN, Reason.AMBIGUOUS, job.attempts
            )
            made.error = "The account that may have sent it is gone."
            return made
        if job.user_id is not None and not job.critical and not job.refused_by:
            self.not_tried.append(job.user_id)
        pauses = [pause for key, pause in self.paused.items() if job.pinned in ("", key)]
        return _waiting(job, min(pauses, key=lambda pause: pause.seconds))

    def _close_tried(self, jobs: Sequence[Job]) -> None:
        """Write down at once how tries ended that came to nothing: the lease may end before the next account."""
        tried = [one for job in jobs if (one := self.tried.get(job.delivery_id)) and not one.is_closed]
        if not tried:
            return
        closed = [(one.attempt_id, one.result.outcome, one.result.detail) for one in tried]
        outbox.close_attempts(closed, now=current_time())
        for one in tried:
            one.is_closed = True
        log.warning("dispatch.refused", channel=self.channel, count=len(tried), account=tried[0].account.key)

    def _learn_from(self, account: Account, results: Sequence[Result]) -> None:
        """Tell the circuit breaker, and ask an account nothing more in this pass that wants to be left alone."""
        failed = [one for one in results if _is_the_accounts_fault(one)]
        reason = failed[-1].detail if failed else ""
        breakers.record(
            account.key, succeeded=len(results) - len(failed), failed=len(failed), reason=reason[:200]
        )
        if not failed:
            return
        told = [one.retry_after for one in failed if one.outcome == Outcome.NOT_SENT and one.retry_after]
        permit = breakers.permit(account.key)
        if permit.state == "probe":
            breakers.record(account.key, succeeded=0, failed=0, reason="")  # it is not for us: given back
        if told:
            self.paused[account.key] = _Pause(Reason.RETRYING, max(told))
        elif permit.state != "closed":
            self.paused[account.key] = _Pause(Reason.BREAKER_OPEN, permit.retry_in)

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
            except (InvalidInput, ObjectDoesNotExist, DatabaseError) as error:
                # The next slice is on its way by now: this must not keep it from going out.
                log.exception("dispatch.not_suppressed", delivery_id=str(job.delivery_id), error=str(error))


@dataclass(slots=True)
class _Slice:
    """Jobs on their way at the same time, and the ids of their attempts."""

    jobs: list[Job]
    attempts: list[uuid.UUID]


def _take(rest: list[Job], count: int) -> list[Job]:
    """The next ``count`` jobs, fewer when they are heavy: all of a slice are in memory at the same time."""
    size = 0
    for position, job in enumerate(rest[:count]):
        size += job.weight
        if size > MAX_SLICE_BYTES and position:
            count = position
            break
    taken = rest[:count]
    del rest[:count]
    return taken


def _is_the_accounts_fault(result: Result) -> bool:
    return result.outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN) and not result.about_recipient


def _waiting(job: Job, pause: _Pause) -> Settled:
    """A delivery that was not tried, put off."""
    reason = Reason.SAME_PROVIDER if job.pinned else pause.reason
    made = Settled(job.delivery_id, job.organization_id, DeliveryStatus.PENDING, reason, job.attempts)
    made.account, made.provider, made.version_id = job.pinned, job.pinned_provider, job.version_id
    # Spread a little, so that not everything that waited comes back in the same moment.
    wait = pause.seconds * random.uniform(1.0, 1.1)  # noqa: S311 - spreads load, guards no secret
    made.due_at = current_time() + dt.timedelta(seconds=max(wait, 0.1))
    return made


def _settled(job: Job, tried: _Tried, status: DeliveryStatus, reason: Reason) -> Settled:
    result = tried.result
    return Settled(
        job.delivery_id,
        job.organization_id,
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
