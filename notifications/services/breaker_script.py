"""The circuit breaker's state machine, as one atomic script: all workers see the same breaker.

A breaker is a hash: ``state``, ``failures`` and ``openings`` (in a row), ``opened_at``, ``open_until``, ``changed_at``
(seconds since 1970), ``reason``, and while half open the prober's ``token`` with ``probe_until``. A second hash counts
what succeeded and failed in slots of three seconds.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from notifications.services.shared_scripts import SharedScript

FAILURES = 5  # in a row open it
WINDOW = 30.0  # seconds over which a share is taken
MIN_CALLS = 20  # in the window, before a share says anything
FAILURE_SHARE = 0.5
FIRST_OPEN = 30.0  # seconds; doubles with each opening in a row
LONGEST_OPEN = 600.0
JITTER = 0.1  # share by which it varies, so that breakers of one outage do not all probe at once
PROBE_LASTS = 60.0  # seconds after which a prober that said nothing is taken for dead

_SOURCE = """
local hash, window = KEYS[1], KEYS[2]
local op = ARGV[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function get(field) return redis.call('HGET', hash, field) end
local function number(field) return tonumber(get(field) or '0') or 0 end
local function text(value) return string.format('%.6f', value) end

local function keep()
  local left = math.max(number('open_until') - now, 0)
  redis.call('EXPIRE', hash, math.ceil(left) + (get('state') == 'closed' and 3600 or 86400))
end

local function answer(verdict, retry_in)
  keep()
  return {verdict, text(retry_in or 0), get('state'), get('failures') or '0', get('openings') or '0',
    get('opened_at') or '0', get('open_until') or '0', get('changed_at') or '0', get('reason') or ''}
end

local function close()
  redis.call('DEL', hash, window)
  redis.call('HSET', hash, 'state', 'closed', 'changed_at', text(now))
end

local function open(seconds, openings, failures, reason)
  redis.call('DEL', window)
  redis.call('HDEL', hash, 'token', 'probe_until')
  redis.call('HSET', hash, 'state', 'open', 'openings', openings, 'failures', failures, 'opened_at', text(now),
    'open_until', text(now + seconds), 'changed_at', text(now), 'reason', reason)
end

local function wait_of(openings, first, longest, factor)
  return math.min(first * 2 ^ (openings - 1), longest) * factor
end

if op == 'adopt' then
  local changed_at = tonumber(ARGV[3])
  if get('state') and number('changed_at') >= changed_at then return answer('kept') end
  redis.call('DEL', hash, window)
  redis.call('HSET', hash, 'state', ARGV[2], 'changed_at', ARGV[3], 'failures', ARGV[4], 'openings', ARGV[5],
    'opened_at', ARGV[6], 'open_until', ARGV[7], 'reason', ARGV[8], 'probe_until', ARGV[9])
  return answer('adopted')
end

if op == 'reset' then close() return answer('closed') end
if op == 'open' then
  open(tonumber(ARGV[2]), number('openings'), number('failures'), ARGV[3])
  return answer('opened')
end

local state = get('state')
if not state then return {'missing'} end

if op == 'permit' then
  if state == 'closed' then return answer('closed') end
  local free_at = state == 'open' and number('open_until') or number('probe_until')
  if now < free_at then return answer('open', free_at - now) end
  redis.call('HSET', hash, 'state', 'half_open', 'token', ARGV[2], 'probe_until', text(now + tonumber(ARGV[3])),
    'changed_at', text(now))
  return answer('probe')
end

-- record
local token, reason = ARGV[2], ARGV[6]
local earlier, succeeded, failed = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local first, longest, factor = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

if state == 'half_open' then
  local holder = get('token') or ''
  if token == '' or (holder ~= '' and holder ~= token) then return answer('late') end
  if failed > 0 then
    local openings = number('openings') + 1
    open(wait_of(openings, first, longest, factor), openings, number('failures') + failed, reason)
    return answer('reopened')
  end
  if succeeded > 0 then close() return answer('closed') end
  redis.call('HDEL', hash, 'token', 'probe_until')
  redis.call('HSET', hash, 'state', 'open', 'open_until', text(now), 'changed_at', text(now))
  return answer('returned')
end
if state == 'open' then return answer('late') end

local slot = math.floor(now / 3)
local oldest = slot - math.ceil(tonumber(ARGV[12]) / 3)
if earlier + succeeded > 0 then redis.call('HINCRBY', window, 's' .. slot, earlier + succeeded) end
if failed > 0 then redis.call('HINCRBY', window, 'f' .. slot, failed) end
redis.call('EXPIRE', window, 60)
local streak = number('failures')
if earlier + succeeded > 0 then streak = 0 end
if succeeded == 0 then streak = streak + failed end
redis.call('HSET', hash, 'failures', streak)
if failed == 0 then return answer('counted') end

local good, bad, seen = 0, 0, redis.call('HGETALL', window)
for at = 1, #seen, 2 do
  if tonumber(string.sub(seen[at], 2)) < oldest then redis.call('HDEL', window, seen[at])
  elseif string.sub(seen[at], 1, 1) == 's' then good = good + tonumber(seen[at + 1])
  else bad = bad + tonumber(seen[at + 1]) end
end
local share = good + bad >= tonumber(ARGV[11]) and bad >= (good + bad) * tonumber(ARGV[13])
if streak >= tonumber(ARGV[10]) or share then
  open(wait_of(1, first, longest, factor), 1, streak, reason)
  return answer('opened')
end
return answer('counted')
"""
_script = SharedScript(_SOURCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """A breaker as it stands. Times are aware, in UTC; ``openings`` and ``failures`` are in a row."""

    account: str
    state: str
    failures: int = 0
    openings: int = 0
    opened_at: dt.datetime | None = None
    open_until: dt.datetime | None = None
    reason: str = ""
    changed_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call: ``verdict`` is what happened or may happen, ``retry_in`` is in seconds."""

    verdict: str
    retry_in: float = 0.0
    view: BreakerView | None = None


def permit(account: str, token: str) -> Answer | None:
    """``closed``, ``open``, ``probe`` (the token is the prober's now) or ``missing``."""
    return _run(account, "permit", token, PROBE_LASTS)


def record(
    account: str, *, token: str, earlier: int, succeeded: int, failed: int, reason: str
) -> Answer | None:
    """``counted``, ``opened``, ``reopened``, ``closed``, ``returned`` (the probe), ``late`` or ``missing``.

    ``earlier`` are successes from before this call's.
    """
    # What a test or a deployment changes above holds for the next call.
    bounds = (FAILURES, MIN_CALLS, WINDOW, FAILURE_SHARE)
    return _run(
        account,
        "record",
        token,
        earlier,
        succeeded,
        failed,
        reason,
        FIRST_OPEN,
        LONGEST_OPEN,
        jitter(),
        *bounds,
    )


def adopt(view: BreakerView) -> Answer | None:
    """Take the state of the row over, unless Redis knows something newer."""
    probe_until = _seconds(view.changed_at) + PROBE_LASTS if view.state == "half_open" else 0.0
    return _run(
        view.account, "adopt", view.state, _seconds(view.changed_at), view.failures, view.openings,
        _seconds(view.opened_at), _seconds(view.open_until), view.reason, probe_until,
    )  # fmt: skip


def reset(account: str) -> Answer | None:
    """Close it, whatever it was."""
    return _run(account, "reset")


def open_for(account: str, *, seconds: float, reason: str) -> Answer | None:
    """Open it, whatever it was."""
    return _run(account, "open", seconds, reason)


def jitter() -> float:
    """The factor of the next waiting time."""
    return random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards no secret


def _run(account: str, *arguments: str | int | float) -> Answer | None:
    name = f"{settings.REDIS_PREFIX}:breaker:{account}"
    found: list[Any] | None = _script.run([name, f"{name}:window"], arguments)
    if found is None:
        return None
    verdict, *rest = (part.decode() for part in found)
    if not rest:
        return Answer(verdict)
    retry_in, state, failures, openings, opened_at, open_until, changed_at, reason = rest
    view = BreakerView(
        account=account,
        state=state,
        failures=int(float(failures)),
        openings=int(float(openings)),
        opened_at=_moment(opened_at),
        open_until=_moment(open_until),
        changed_at=_moment(changed_at),
        reason=reason,
    )
    return Answer(verdict, float(retry_in), view)


def _seconds(moment: dt.datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _moment(seconds: str) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(float(seconds), dt.UTC) if float(seconds) else None
