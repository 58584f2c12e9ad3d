"""Log lines are JSON with the ids of request, person and organization, and without personal data."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import structlog
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.monitoring import logs
from castcomm.monitoring.redaction import REDACTED, redact, redact_text


@pytest.mark.parametrize(
    "text",
    [
        "mail to anna.example+tag@mail.example.com failed",
        "GET /x?email=anna%40mail.example.com",
        "SMS to +12025550123 failed",
        "call +1 (202) 555-0123 now",
        "Authorization: Bearer eyJhbGciOi.J9.abc-_x",
        "Authorization: Api-Key cc_abc123_S3cr3t-_x",
        "key cc_abc123_S3cr3t-_x was used",
        "GET /ws/?ticket=S3cr3t-_x HTTP/1.1",
        "password='S3cr3t-_x' refused",
        '{"api_key": "S3cr3t-_x"}',
        "postgres://castcomm:S3cr3t-_x@db.example.com/castcomm",
        "GET /u/AAAAS3cr3t-_xAAAAAAAAAAAAAAAAAA HTTP/1.1",
        "GET /t/c/AAAAS3cr3t-_xAAAAAAAAAAAAAAAAAA",
    ],
)
def test_text_is_cleaned(text: str) -> None:
    cleaned = redact_text(text)
    for private in ("anna", "2025550123", "555-0123", "S3cr3t", "eyJhbGciOi"):
        assert private not in cleaned, cleaned


@pytest.mark.parametrize(
    "text",
    [
        "delivery 019a0b1c-2d3e-7f40-8a5b-6c7d8e9f0a1b was sent in 123456789 ns",
        "2026-11-20T13:59:59.926247Z",
        "1 + 12345678 rows",
        "queue urgent: 1200 waiting",
        "https://castcomm.example.com/api/v1/me",
        "@channels 4.3",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    assert redact_text(text) == text


def test_values_are_cleaned_by_their_name_and_at_any_depth() -> None:
    event = redact(
        None,
        "info",
        {
            "event": "sent",
            "email": "a@example.com",
            "phone": "12",
            "headers": {"Authorization": "x", "Cookie": "y", "Accept": "*/*"},
            "rows": [{"password": "x"}, "b@example.com", 7],
            "otp": 123456,
            "count": 3,
            "ratio": 0.5,
            "nothing": None,
        },
    )
    assert event["email"] == event["phone"] == event["otp"] == REDACTED
    assert event["headers"] == {"Authorization": REDACTED, "Cookie": REDACTED, "Accept": "*/*"}
    assert event["rows"] == [{"password": REDACTED}, "[email]", 7]
    assert (event["count"], event["ratio"], event["nothing"]) == (3, 0.5, None)


@pytest.fixture
def lines(settings: Any) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    stream = StringIO()
    logs.configure({"level": "INFO", "format": "json"})
    root = logging.getLogger()
    handler = next(
        one for one in root.handlers if isinstance(one.formatter, structlog.stdlib.ProcessorFormatter)
    )
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logs.configure(settings.LOGGING)


def test_a_request_can_be_followed(
    lines: Callable[[], list[dict[str, Any]]],
    api_client: Callable[..., APIClient],
    member: User,
    organization: Organization,
    settings: Any,
) -> None:
    settings.DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True
    api_client(member).get("/api/v1/members", headers={"X-Request-ID": "trace-me"})
    (finished,) = [line for line in lines() if line["message"] == "request_finished"]
    assert finished["request_id"] == "trace-me"
    assert finished["user_id"] == str(member.id)
    assert finished["organization_id"] == str(organization.id)
    assert finished["level"] == "info"
    assert finished["code"] == 200
    assert "ip" not in finished


def test_ids_do_not_leak_into_the_next_request(
    lines: Callable[[], list[dict[str, Any]]], api_client: Callable[..., APIClient], member: User
) -> None:
    api_client(member).get("/api/v1/members")
    APIClient().get("/health")
    last = [line for line in lines() if line["message"] == "request_finished"][-1]
    assert "organization_id" not in last
    assert last.get("user_id") is None


def test_no_logger_has_a_way_around(lines: Callable[[], list[dict[str, Any]]]) -> None:
    for name in ("django.request", "django.server", "uvicorn.error", "celery.worker"):
        logging.getLogger(name).warning("%s: to anna@example.com", name)
        own = logging.getLogger(name)
        while own.parent is not None:
            assert all(isinstance(one, logging.NullHandler) for one in own.handlers), own.name
            assert own.propagate, own.name
            own = own.parent
    assert lines()[0]["message"] == "django.request: to [email]"
    assert len(lines()) == 4


def test_tracebacks_are_cleaned_too(lines: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        raise ValueError("cannot reach anna@example.com with password=hunter2")
    except ValueError:
        logging.getLogger("castcomm.tests").exception("failed for %s", "ben@example.com")
    (line,) = lines()
    assert line["message"] == "failed for [email]"
    assert "ValueError" in line["exception"]
    assert "anna" not in line["exception"]
    assert "hunter2" not in line["exception"]


def test_the_console_form_is_cleaned_as_well(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure({"level": "INFO", "format": "console"})
    try:
        structlog.get_logger("castcomm.tests").warning(
            "hello", email="a@example.com", note="to b@example.com"
        )
    finally:
        said = capsys.readouterr().err
        logs.configure(settings.LOGGING)
    assert "hello" in said
    assert "@example.com" not in said


@pytest.mark.parametrize(
    "piece",
    [
        "a-",
        "a",
        "a.",
        "token",
        "token ",
        "a://",
        "://a:",
        "a@a",
        "a@a.",
        "%40",
        "+1",
        "Bearer ",
        "cc_a",
        "x=",
        "a+-",
    ],
)
def test_cleaning_takes_time_in_proportion_to_the_text(piece: str) -> None:
    def seconds(size: int) -> float:
        text = (piece * size)[:size]
        started = time.process_time()
        redact_text(text)
        return time.process_time() - started

    seconds(1024)
    # Quadratic work took 200 seconds here.
    assert seconds(64 * 1024) < 1.5


def test_a_long_value_is_cut_and_what_is_kept_is_clean() -> None:
    for shift in range(0, 400, 7):
        value = "x" * (1900 + shift) + " anna.example@mail.example.com password=S3cr3t " + "y" * 100_000
        event = redact(None, "info", {"event": "x", "request": value})
        assert len(event["request"]) < 3000
        assert "anna" not in event["request"]
        assert "S3cr3t" not in event["request"]


def test_a_traceback_keeps_all_its_lines() -> None:
    text = "\n".join([f"line {number} to anna@example.com" for number in range(500)] + ["z" * 50_000])
    event = redact(None, "info", {"event": "x", "exception": text})
    assert event["exception"].count("\n") == 500
    assert "anna" not in event["exception"]
    assert len(event["exception"]) < 20_000
