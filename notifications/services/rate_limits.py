"""Limits on how much is sent: per account, per organization and channel, per person and channel.

A limit of N per minute means that no 60 seconds see more than N: windows slide, in steps of a thirtieth of their length
(an hour of 120 seconds, and so on), so that what one reaches in the long run is N in 62 seconds. One
script takes from all limits of a call at once; what it grants is counted whether or not it is sent, unless given back.
Where no limit is set Redis is not asked.

While Redis is away each process counts for itself and stays within an eighth of the limits of accounts and
organizations (``SHARE``): eight processes, which know nothing of each other, then keep to the limit together. Set
lower limits, or fewer processes, where there are more than eight. Limits of persons are not divided.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings

from notifications.providers.base import Account
from notifications.services.shared_scripts import SharedScript

MINUTE, HOUR, DAY = 60, 3_600, 86_400
STEPS = 30  # of a window
SHARE = 8  # processes that may count for themselves without going over a limit together
MOST_LOCAL = 20_000  # windows that a process keeps while Redis is away

# KEYS: hashes of step to count, several per taker. ARGV: steps, how many takers; then per taker how much it wants
# and how many limits it has; then per limit its size and the length of its window. What a taker gets is what all its
# limits have left. The answer has per taker what it got and, where that is less, in how many seconds there is more.
_SOURCE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local steps, takers = tonumber(ARGV[1]), tonumber(ARGV[2])
local answer, limit_at, key_at = {}, 3 + 2 * takers, 1
for taker = 1, takers do
  local granted, count = tonumber(ARGV[1 + 2 * taker]), tonumber(ARGV[2 + 2 * taker])
  local wanted, frees = granted, {}
  for at = 0, count - 1 do
    local key, limit = KEYS[key_at + at], tonumber(ARGV[limit_at + 2 * at])
    local width = tonumber(ARGV[limit_at + 2 * at + 1]) / steps
    local slot = math.floor(now / width)
    local used, oldest, seen = 0, slot, redis.call('HGETALL', key)
    for i = 1, #seen, 2 do
      local its = tonumber(seen[i])
      if its < slot - steps then redis.call('HDEL', key, seen[i])
      elseif tonumber(seen[i + 1]) > 0 then
        used = used + tonumber(seen[i + 1])
        oldest = math.min(oldest, its)
      end
    end
    local free = math.max(limit - used, 0)
    granted = math.min(granted, free)
    frees[at + 1] = {free, (oldest + steps + 1) * width - now}
  end
  local wait = 0
  for at = 0, count - 1 do
    if granted < wanted and frees[at + 1][1] <= granted then wait = math.max(wait, frees[at + 1][2]) end
    if granted > 0 then
      local key, length = KEYS[key_at + at], tonumber(ARGV[limit_at + 2 * at + 1])
      redis.call('HINCRBY', key, math.floor(now / (length / steps)), granted)
      redis.call('EXPIRE', key, length + math.ceil(length / steps) + 1)
    end
  end
  answer[#answer + 1] = granted
  answer[#answer + 1] = string.format('%.3f', wait)
  limit_at, key_at = limit_at + 2 * count, key_at + count
end
return answer
"""
# KEYS: hashes of step to count. ARGV: how much to take off, from the newest steps first.
_GIVE_BACK = """
for _, key in ipairs(KEYS) do
  local left, seen, slots = tonumber(ARGV[1]), redis.call('HGETALL', key), {}
  for i = 1, #seen, 2 do slots[#slots + 1] = {tonumber(seen[i]), tonumber(seen[i + 1]), seen[i]} end
  table.sort(slots, function(one, other) return one[1] > other[1] end)
  for _, slot in ipairs(slots) do
    local off = math.min(left, slot[2])
    if off > 0 then redis.call('HINCRBY', key, slot[3], -off) end
    left = left - off
  end
end
return 1
"""
_take = SharedScript(_SOURCE)
_return = SharedScript(_GIVE_BACK)


@dataclass(frozen=True, slots=True)
class Grant:
    """How many messages may go now; for the rest ``retry_in`` says in how many seconds there is more."""

    granted: int
    retry_in: float = 0.0


@dataclass(frozen=True, slots=True)
class _Limit:
    name: str
    size: int
    seconds: int

    @property
    def key(self) -> str:
        return f"{settings.REDIS_PREFIX}:limit:{self.name}:{self.seconds}"


_Taker = tuple[int, list[_Limit]]
_local: dict[str, dict[int, int]] = {}
# Whether an organization was last seen with a limit, by channel: giving back is not told.
_limited: set[tuple[uuid.UUID, str]] = set()


def take(account: Account, *, organization_id: uuid.UUID, sends_per_minute: int | None, wanted: int) -> Grant:
    """Ask to send ``wanted`` messages through an account; perhaps fewer are granted, perhaps none. Never raises.

    ``sends_per_minute`` is the organization's limit on the account's channel.
    """
    limits = _limits_of(account)
    mine = (organization_id, account.channel)
    if sends_per_minute:
        _limited.add(mine)
        limits.append(_organization_limit(*mine, sends_per_minute))
    else:
        _limited.discard(mine)
    if not limits or wanted <= 0:
        return Grant(max(wanted, 0))
    return _taken([(wanted, limits)], share=SHARE)[0]


def give_back(account: Account, organization_id: uuid.UUID, count: int) -> None:
    """Return what was granted and not used, so that others may use it."""
    limits = _limits_of(account)
    if (organization_id, account.channel) in _limited:
        limits.append(_organization_limit(organization_id, account.channel, 1))
    if not limits or count <= 0:
        return
    if _return.run([limit.key for limit in limits], [count]) is None:
        for limit in limits:
            _give_back_locally(limit, count)


def waits_of_people(channel: str, user_ids: Sequence[uuid.UUID | None]) -> list[float]:
    """For each message to a person 0.0 when it may go now (and is counted), else in how many seconds it may.

    A person named several times gets as many as the limit has left. None is a bare address, which has no limit.
    """
    windows = _person_windows()
    waits = [0.0] * len(user_ids)
    if not windows:
        return waits
    at: dict[uuid.UUID, list[int]] = {}
    for position, user_id in enumerate(user_ids):
        if user_id is not None:
            at.setdefault(user_id, []).append(position)
    takers: list[_Taker] = [
        (len(positions), [_Limit(f"person:{user_id}:{channel}", *window) for window in windows])
        for user_id, positions in at.items()
    ]
    for grant, positions in zip(_taken(takers, share=1), at.values(), strict=True):
        for position in positions[grant.granted :]:
            waits[position] = grant.retry_in
    return waits


def take_for_people(channel: str, user_ids: Sequence[uuid.UUID | None]) -> dict[uuid.UUID, float]:
    """The people over their limit, with the seconds that their messages have to wait; the others' are counted.

    Name each person once: who is named several times and gets some is over the limit as well. For several messages
    to one person ask ``waits_of_people``.
    """
    waits = waits_of_people(channel, user_ids)
    return {
        user_id: wait for user_id, wait in zip(user_ids, waits, strict=True) if user_id is not None and wait
    }


def give_back_for_people(channel: str, user_ids: Sequence[uuid.UUID]) -> None:
    """Return what ``waits_of_people`` has counted for messages that were not sent after all."""
    windows = _person_windows()
    if not windows:
        return
    for user_id, count in Counter(user_ids).items():
        limits = [_Limit(f"person:{user_id}:{channel}", *window) for window in windows]
        if _return.run([limit.key for limit in limits], [count]) is None:
            for limit in limits:
                _give_back_locally(limit, count)


def _limits_of(account: Account) -> list[_Limit]:
    sizes = ((account.per_minute, MINUTE), (account.per_hour, HOUR), (account.per_day, DAY))
    return [_Limit(f"account:{account.key}", size, seconds) for size, seconds in sizes if size]


def _organization_limit(organization_id: uuid.UUID, channel: str, size: int) -> _Limit:
    return _Limit(f"organization:{organization_id}:{channel}", size, MINUTE)


def _person_windows() -> list[tuple[int, int]]:
    sizes = ((settings.USER_RATE_LIMIT_MINUTE, MINUTE), (settings.USER_RATE_LIMIT_HOUR, HOUR))
    return [(size, seconds) for size, seconds in sizes if size > 0]


def _taken(takers: Sequence[_Taker], *, share: int) -> list[Grant]:
    if not takers:
        return []
    keys = [limit.key for _, limits in takers for limit in limits]
    arguments: list[int] = [STEPS, len(takers)]
    for wanted, limits in takers:
        arguments += [wanted, len(limits)]
    for _, limits in takers:
        for limit in limits:
            arguments += [limit.size, limit.seconds]
    found = _take.run(keys, arguments)
    if found is None:
        return [_taken_locally(wanted, limits, share) for wanted, limits in takers]
    if _local:
        _local.clear()
    return [Grant(int(got), float(wait)) for got, wait in _pairs(found)]


def _pairs(found: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(found[::2], found[1::2], strict=True)


# --- While Redis is away ------------------------------------------------------------------------------


def _taken_locally(wanted: int, limits: Sequence[_Limit], share: int) -> Grant:
    """The script's work within this process, on its share of the limits."""
    now = time.time()
    granted, found = wanted, []
    for limit in limits:
        slots, slot, width = _slots(limit, now)
        free = max(max(limit.size // share, 1) - sum(slots.values()), 0)
        granted = min(granted, free)
        oldest = min((one for one, count in slots.items() if count), default=slot)
        found.append((free, (oldest + STEPS + 1) * width - now))
    if granted:
        for limit in limits:
            slots, slot, _ = _slots(limit, now)
            slots[slot] = slots.get(slot, 0) + granted
    short = granted < wanted
    return Grant(granted, max(wait for free, wait in found if free <= granted) if short else 0.0)


def _slots(limit: _Limit, now: float) -> tuple[dict[int, int], int, float]:
    if len(_local) > MOST_LOCAL:
        _local.clear()
    width = limit.seconds / STEPS
    slot = int(now // width)
    slots = _local.setdefault(limit.key, {})
    for old in [one for one in slots if one < slot - STEPS]:
        del slots[old]
    return slots, slot, width


def _give_back_locally(limit: _Limit, count: int) -> None:
    slots = _local.get(limit.key, {})
    for slot in sorted(slots, reverse=True):
        off = min(count, slots[slot])
        slots[slot] -= off
        count -= off
