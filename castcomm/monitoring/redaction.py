"""Keeps personal data and credentials out of the logs: a structlog processor.

What a log line may carry about a person is an id. Addresses, phone numbers and secrets are replaced
wherever they turn up, in values, in messages and in tracebacks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

REDACTED = "[redacted]"
_MAX_DEPTH = 6

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)|secret|token|ticket|authorization|cookie|api_?key|private_?key|credential|csrf"
    r"|signature|otp|recovery",
    re.IGNORECASE,
)
_PERSONAL_NAME = re.compile(
    r"^(e_?mail|phone|msisdn|address|to|recipient|first_name|last_name|full_name|ip|remote_addr|client_ip)$",
    re.IGNORECASE,
)
# A value longer than this many characters is cut; of a traceback, a line.
MAX_LENGTH = 2048
# No address or number is longer, so a cut leaves no half of one that would not be recognised.
_LONGEST_MATCH = 320
_CUT = "…[cut]"
# Texts of many lines, of which each counts.
_TRACES = {"exception", "stack", "traceback"}

# Whoever calls decides what is logged, so the work must grow in proportion to the text: every pattern starts
# with something fixed or has bounds. Order matters: a credential may contain what looks like an address.
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"\b(Bearer|Basic|Api-Key|Preferences)\s{1,20}[\w\-.~+/=]+", re.IGNORECASE),
        r"\1 " + REDACTED,
    ),
    (re.compile(r"\bcc_[0-9A-Za-z]{1,64}_[0-9A-Za-z_\-]+"), REDACTED),
    (
        re.compile(
            r"((?:password|secret|token|ticket|api_?key|signature|sessionid|csrf)[\w\-]{0,64}"
            r"[\"']?\s{0,20}[=:]\s{0,20}[\"']?)[^\s\"'&,;)}]+",
            re.IGNORECASE,
        ),
        r"\1" + REDACTED,
    ),
    # The links in mails are keys, too: to unsubscribe, to preferences, and to what a person clicked.
    (re.compile(r"(/(?:u|p|t/c|t/o)/)[\w\-]{24,}"), r"\1" + REDACTED),
    (re.compile(r"(://[^\s:/@]*):[^\s@/]+@"), r"\1:" + REDACTED + "@"),
    (re.compile(r"[\w.+\-!#$%&'*/=?^`{|}~]{1,64}(?:@|%40)[\w\-]{1,63}(?:\.[\w\-]{1,63}){1,16}"), "[email]"),
    (re.compile(r"(?<![\w.])(?:\+|%2B)\d(?:[\s().\-]{0,2}\d){6,14}(?!\w)"), "[phone]"),
)


def redact_text(text: str) -> str:
    """``text`` without addresses, phone numbers (E.164) and credentials."""
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _redact_bounded(text: str) -> str:
    if len(text) <= MAX_LENGTH:
        return redact_text(text)
    return redact_text(text[: MAX_LENGTH + _LONGEST_MATCH])[:-_LONGEST_MATCH] + _CUT


def _redact(name: str, value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | float):
        # Counters are named "tokens" too; a number under a secret's name is still hidden.
        return REDACTED if value is not None and _SECRET_NAME.search(name) else value
    if _SECRET_NAME.search(name) or _PERSONAL_NAME.match(name):
        return REDACTED if value != "" else value
    if isinstance(value, str):
        if name in _TRACES:
            return "\n".join(_redact_bounded(line) for line in value.split("\n"))
        return _redact_bounded(value)
    if depth >= _MAX_DEPTH:
        return REDACTED
    if isinstance(value, Mapping):
        return {key: _redact(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact("", item, depth + 1) for item in value]
    return _redact_bounded(str(value))


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: put it after the traceback is formatted and before rendering."""
    for name, value in list(event.items()):
        if not name.startswith("_"):
            event[name] = _redact(name, value)
    return event
