"""Providers that cannot work are told by ``manage.py check``, with the variables to set."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks


def found(number: str) -> list[CheckMessage]:
    return [message for message in run_checks() if message.id == f"castcomm.{number}"]


@pytest.fixture(autouse=True)
def _nothing_configured(settings: Any) -> None:
    settings.PROVIDER_ENVIRONMENT = {}
    for name in ("EMAIL_PRIMARY_PROVIDER", "EMAIL_PROVIDER", "SMS_PROVIDER", "PUSH_PROVIDER"):
        setattr(settings, name, "")


@pytest.mark.parametrize(
    ("setting", "provider", "there", "missing"),
    [
        ("EMAIL_PRIMARY_PROVIDER", "sendgrid", {}, ["SENDGRID_API_KEY"]),
        ("EMAIL_PROVIDER", "mailgun", {"MAILGUN_API_KEY": "very-secret"}, ["MAILGUN_DOMAIN"]),
        ("SMS_PROVIDER", "twilio", {}, ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"]),
    ],
)
def test_a_named_provider_without_its_variables(
    settings: Any, setting: str, provider: str, there: dict[str, str], missing: list[str]
) -> None:
    assert found("E053") == []
    setattr(settings, setting, provider)
    settings.PROVIDER_ENVIRONMENT = there
    (message,) = found("E053")
    assert setting in message.msg
    assert all(name in message.msg for name in missing)
    assert not any(name in message.msg for name in there)
    assert "very-secret" not in f"{message.msg} {message.hint}"


def test_a_provider_with_what_it_needs_is_fine(settings: Any) -> None:
    settings.EMAIL_PROVIDER, settings.SMS_PROVIDER = "smtp", "console"
    assert found("E053") == []
    settings.EMAIL_PROVIDER = "postmark"
    settings.PROVIDER_ENVIRONMENT = {"POSTMARK_SERVER_TOKEN": "another spelling"}
    assert found("E053") == []


@pytest.mark.parametrize("name", ["EMAIL_RATE_LIMIT_DAY", "USER_RATE_LIMIT_MINUTE"])
def test_a_limit_below_nothing(settings: Any, name: str) -> None:
    assert found("E055") == []
    setattr(settings, name, -1)
    (message,) = found("E055")
    assert name in message.msg


def test_values_that_do_not_go_together(settings: Any) -> None:
    assert found("E054") == []
    settings.SMS_PROVIDER = "twilio"
    settings.PROVIDER_ENVIRONMENT = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "very-secret"}
    (message,) = found("E054")
    assert "TWILIO_FROM_NUMBER or TWILIO_PHONE_NUMBER" in message.msg
    assert "very-secret" not in f"{message.msg} {message.hint}"
    settings.PROVIDER_ENVIRONMENT |= {"TWILIO_MESSAGING_SERVICE_SID": "MG1"}
    assert found("E054") == []


@pytest.mark.parametrize(("seconds", "wrong"), [(1.0, 0), (30.0, 0), (0.5, 1), (31.0, 1)])
def test_a_time_out_that_outlasts_a_lease(settings: Any, seconds: float, wrong: int) -> None:
    settings.SMTP_TIMEOUT = seconds
    messages = found("E054")
    assert len(messages) == wrong
    assert all("SMTP_TIMEOUT" in one.msg and "1 to 30" in str(one.hint) for one in messages)


def test_stand_ins_in_production_are_told(settings: Any) -> None:
    settings.DEBUG = settings.PROVIDER_STAND_INS = False
    assert found("W056") == []
    settings.PROVIDER_STAND_INS = True
    (message,) = found("W056")
    assert "PROVIDER_STAND_INS" in message.msg
