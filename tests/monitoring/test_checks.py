"""A configuration that cannot work is told with a number and with what to set."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from castcomm.embedded.environment import passing_secrets
from castcomm.monitoring import checks

ROOT = Path(__file__).resolve().parents[2]


def found() -> dict[str, Any]:
    return {message.id: message for message in run_checks() if str(message.id).startswith("castcomm.")}


@pytest.mark.parametrize(
    ("changes", "number", "names"),
    [
        ({"DEBUG": False, "SECRET_KEY": "short"}, "E001", "SECRET_KEY"),
        ({"DEBUG": False, "SECRET_KEY": "a" * 80}, "E001", "SECRET_KEY"),
        ({"DEBUG": False, "SECRET_KEY": "django-insecure-" + "abcdefgh" * 8}, "E001", "SECRET_KEY"),
        ({"FIELD_ENCRYPTION_KEYS": []}, "E002", "FIELD_ENCRYPTION_KEYS"),
        ({"FIELD_ENCRYPTION_KEYS": ["not a key"]}, "E003", "FIELD_ENCRYPTION_KEYS"),
        ({"BLIND_INDEX_KEY": "x"}, "E004", "BLIND_INDEX_KEY"),
        ({"HEADLESS_JWT_PRIVATE_KEY": ""}, "E005", "JWT_PRIVATE_KEY"),
        ({"HEADLESS_JWT_PRIVATE_KEY": "-----BEGIN nonsense"}, "E006", "JWT_PRIVATE_KEY"),
        ({"METRICS_TOKEN": "short"}, "E007", "METRICS_TOKEN"),
        ({"METRICS_ALLOWED_IPS": ["localhost"]}, "E008", "METRICS_ALLOWED_IPS"),
        ({"PUBLIC_URL": "castcomm.example.com"}, "E010", "PUBLIC_URL"),
        ({"PUBLIC_URL": ""}, "E010", "PUBLIC_URL"),
        ({"FRONTEND_URL": "ftp://example.com"}, "E010", "FRONTEND_URL"),
        ({"DEBUG": False, "PUBLIC_URL": "http://castcomm.example.com"}, "W011", "PUBLIC_URL"),
        ({"CORS_ALLOWED_ORIGINS": ["https://example.com/app"]}, "E012", "CORS_ORIGINS"),
        ({"LOG_FORMAT": "xml"}, "E013", "LOG_FORMAT"),
        ({"DEMO_TIME_SCALE": 0.0}, "E014", "DEMO_TIME_SCALE"),
        ({"DEMO_TIME_SCALE": float("nan")}, "E014", "DEMO_TIME_SCALE"),
        ({"DEBUG": False, "DEMO_TIME_SCALE": 2880.0}, "W015", "DEMO_TIME_SCALE"),
        ({"WS_HEARTBEAT_INTERVAL": 0}, "E016", "WS_HEARTBEAT_INTERVAL"),
        ({"EMAIL_PROVIDER": "pigeon"}, "E020", "EMAIL_PROVIDER"),
        ({"SMS_PROVIDER": "pigeon"}, "E021", "SMS_PROVIDER"),
        ({"PUSH_PROVIDER": "pigeon"}, "E022", "PUSH_PROVIDER"),
    ],
)
def test_what_cannot_work_is_named(settings: Any, changes: dict[str, Any], number: str, names: str) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    message = found()[f"castcomm.{number}"]
    assert names in message.msg
    assert message.hint


def test_a_secret_is_never_printed(settings: Any) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = "very-secret"
    settings.FIELD_ENCRYPTION_KEYS = ["also-secret"]
    said = " ".join(f"{message.msg} {message.hint}" for message in found().values())
    assert "very-secret" not in said
    assert "also-secret" not in said


def test_the_tests_own_configuration_is_sound(settings: Any) -> None:
    settings.PROVIDER_STAND_INS = False
    settings.SECRET_KEY = passing_secrets({})["SECRET_KEY"]
    assert found() == {}


def test_choices_come_from_what_is_registered(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(checks._choices, "EMAIL_PROVIDER", ("E099", lambda: ["pigeon"]))
    settings.EMAIL_PROVIDER = "smtp"
    assert found()["castcomm.E099"].hint == "Set EMAIL_PROVIDER to one of: pigeon."


def test_a_number_has_one_meaning() -> None:
    places: dict[str, set[str]] = {}
    for app in ("castcomm", "accounts", "notifications", "messaging", "workflows"):
        for path in (ROOT / app).rglob("*.py"):
            for number in re.findall(r"""["']castcomm\.([EW]\d{3})["']""", path.read_text()):
                places.setdefault(number, set()).add(str(path.relative_to(ROOT)))
    assert {number: found for number, found in places.items() if len(found) > 1} == {}


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_production_is_clean() -> None:
    done = manage(
        "check",
        "--deploy",
        "--fail-level",
        "WARNING",
        DEBUG="false",
        PUBLIC_URL="https://castcomm.example.com",
        **passing_secrets({}),
    )
    assert done.returncode == 0, done.stderr


def test_production_without_its_secrets_does_not_start() -> None:
    secret = passing_secrets({})["SECRET_KEY"]
    done = manage("check", DEBUG="false", SECRET_KEY=secret)
    assert done.returncode != 0
    for number in ("E002", "E004", "E005"):
        assert f"castcomm.{number}" in done.stderr
    assert "SECRET_KEY is not set" in manage("check", DEBUG="false").stderr
