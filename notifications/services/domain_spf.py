"""Reading SPF records (RFC 7208): what they include, how many lookups that takes, what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from notifications.services.domain_dns import Dns

MAX_LOOKUPS = 10  # RFC 7208, 4.6.4
MAX_VOID = 2
_STOP_AT = 40  # lookups; how far too many no longer matters
_LOOKING_UP = frozenset({"include", "a", "mx", "ptr", "exists"})
_QUIET = frozenset({"all", "ip4", "ip6"})
_TERM = re.compile(r"([+?~-]?)([a-z][a-z0-9_.-]*)(?:([:=/])(.*))?", re.IGNORECASE)


@dataclass(slots=True)
class Spf:
    """``includes`` are all domains that are included, directly or not. ``everyone`` is what is said of all others:
    "-", "~", "?" or "+", or "" when nothing is."""

    records: list[str]
    lookups: int = 0
    void: int = 0
    includes: set[str] = field(default_factory=set)
    everyone: str = ""
    uses_ptr: bool = False
    problems: list[str] = field(default_factory=list)


def spf_records(dns: Dns, domain: str) -> list[str]:
    """The records that are SPF's; there should be one."""
    return [text for text in dns.txt(domain) if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]


def read_spf(dns: Dns, domain: str) -> Spf:
    """The record of ``domain`` with everything that it includes; raises Unanswered."""
    made = Spf(spf_records(dns, domain))
    if len(made.records) == 1:
        made.everyone = _walk(dns, made, made.records[0], (domain,))
    if made.lookups > MAX_LOOKUPS:
        count = f"more than {_STOP_AT}" if made.lookups > _STOP_AT else str(made.lookups)
        made.problems.append(f"it takes {count} DNS lookups, and receivers stop at {MAX_LOOKUPS}")
    if made.void > MAX_VOID:
        made.problems.append(f"{made.void} of its lookups find nothing, and receivers stop at {MAX_VOID}")
    return made


def _walk(dns: Dns, made: Spf, record: str, path: tuple[str, ...]) -> str:
    """Follow the terms of one record; what it says of everyone else."""
    everyone, redirect = "", ""
    for term in record.split()[1:]:
        found = _TERM.fullmatch(term)
        if found is None:
            made.problems.append(f"{term!r} is no mechanism")
            continue
        sign, name, separator, value = found[1] or "+", found[2].lower(), found[3], (found[4] or "").lower()
        if separator == "=":
            redirect = value if name == "redirect" else redirect
        elif name == "all":
            everyone = sign
        elif name in _LOOKING_UP:
            _look_up(dns, made, name, value, path)
        elif name not in _QUIET:
            made.problems.append(f"{term!r} is no mechanism")
    if redirect and not everyone:
        return _follow(dns, made, "redirect", redirect, path)
    return everyone


def _look_up(dns: Dns, made: Spf, name: str, value: str, path: tuple[str, ...]) -> None:
    target = value.split("/", 1)[0] or path[-1]
    if name == "include":
        _follow(dns, made, name, target, path)
        return
    made.lookups += 1
    made.uses_ptr = made.uses_ptr or name == "ptr"
    # What depends on the sender (macros) and on the other side's reverse zone cannot be asked from here.
    if "%" in target or name == "ptr" or made.lookups > _STOP_AT:
        return
    there = dns.mx(target) if name == "mx" else dns.has_address(target)
    made.void += not there


def _follow(dns: Dns, made: Spf, name: str, target: str, path: tuple[str, ...]) -> str:
    made.lookups += 1
    made.includes.add(target.rstrip("."))
    if "%" in target or made.lookups > _STOP_AT:
        return ""
    if target in path:
        made.problems.append(f"{name} of {target} leads in a circle")
        return ""
    records = spf_records(dns, target)
    if len(records) != 1:
        made.void += not records
        there = "has no SPF record" if not records else f"has {len(records)} SPF records"
        made.problems.append(f"{target}, which it names by {name}, {there}")
        return ""
    return _walk(dns, made, records[0], (*path, target))
