"""Provider by mode: each has one outcome, whatever goes wrong, and the far side never takes a message twice.

The table is printed at the end of the run (``matrix_table``); who is in it stands in ``subjects``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from notifications.providers.base import File
from notifications.vocabulary import Outcome

from .matrix_table import CELL
from .subjects import MAIL, RETRY_AFTER, SUBJECTS, Subject, mail

_ROWS = [pytest.param(one, mode, id=f"{one.key}-{mode}") for one in SUBJECTS for mode in one.modes]


@pytest.mark.parametrize(("subject", "mode"), _ROWS)
def test_every_provider_in_every_mode(
    subject: Subject,
    mode: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, Any], None],
) -> None:
    with subject.stage(mode, monkeypatch) as end:
        result = end.provider.deliver(subject.message)
        taken, calls = end.taken(), end.calls()
    waits = f" {result.retry_after:g} s" if result.retry_after else ""
    record_property(CELL, [subject.key, mode, f"{result.outcome.value}{waits}"])

    assert result.outcome == subject.expected(mode), result.detail
    assert calls == (0 if mode == "refuse" else 1)  # it is not tried again in secret
    assert len(taken) <= 1
    if result.outcome == Outcome.SENT:
        assert [one.to for one in taken] == [_to(subject)]
        assert not subject.carries_id or taken[0].delivery_id == subject.message.delivery_id
        assert not subject.gives_id or result.provider_message_id == taken[0].message_id
    elif result.outcome != Outcome.UNKNOWN:
        assert taken == []
        assert result.provider_message_id == ""
        assert result.detail
    if mode == "429" and subject.says_retry_after:
        assert result.retry_after == RETRY_AFTER


def _to(subject: Subject) -> str:
    return str(getattr(subject.message, "to", ""))


BREAKS = ["\r\n", "\n", "\r", "\x00"]
FIELDS = ["to", "subject", "sender", "sender_name", "message_id", "delivery_id", "reply_to"]
_BY_KEY = pytest.mark.parametrize("subject", MAIL, ids=[one.key for one in MAIL])


@_BY_KEY
@pytest.mark.parametrize("field", [*FIELDS, "header name", "header value", "filename", "content_type"])
def test_no_field_breaks_out_of_its_header(
    subject: Subject, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subject.stage("ok", monkeypatch) as end:
        for line_break in BREAKS:
            result = end.provider.deliver(_poisoned(field, f"a{line_break}Bcc: someone@example.com"))
            assert result.outcome == Outcome.PERMANENT, result
            assert result.detail.startswith((field, "headers.0", "attachments.0"))
            assert not result.about_recipient or field == "to"
        assert (end.taken(), end.calls()) == ([], 0)


def _poisoned(field: str, value: str) -> Any:
    if field == "header name":
        return mail(headers=((value, "x"),))
    if field == "header value":
        return mail(headers=(("X-A", value),))
    if field in {"filename", "content_type"}:
        plain = File(filename="a.txt", content_type="text/plain", content=b"x")
        return mail(attachments=(dataclasses.replace(plain, **{field: value}),))
    return mail(**{field: value})


@_BY_KEY
@pytest.mark.parametrize("field", ["from_email", "from_name"])
def test_nor_does_the_accounts_own_sender(
    subject: Subject, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subject.stage("ok", monkeypatch) as end:
        own = {"from_email": "own@example.com", field: "a\r\nBcc: someone@example.com"}
        account = end.provider.account
        end.provider.account = dataclasses.replace(account, credentials={**account.credentials, **own})
        result = end.provider.deliver(mail())
        assert (result.outcome, end.taken()) == (Outcome.PERMANENT, [])
