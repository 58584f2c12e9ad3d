"""System checks: a configuration that cannot work is told before it fails, with what to set.

``castcomm.E0xx`` stop ``manage.py check`` (and with it the start); ``castcomm.W0xx`` are for ``check --deploy``.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

MIN_SECRET_LENGTH = 50
MIN_SECRET_VARIETY = 5
MIN_TOKEN_LENGTH = 16
MIN_RSA_BITS = 2048

_choices: dict[str, tuple[str, Callable[[], Collection[str]]]] = {}


def expect_choice(setting: str, choices: Callable[[], Collection[str]], *, number: str) -> None:
    """Let ``manage.py check`` refuse a setting that is none of ``choices()``, as ``castcomm.<number>``.

    For what is registered by an app: ``expect_choice("EMAIL_PROVIDER", email_providers.keys, number="E020")``.
    """
    _choices[setting] = (number, choices)


@register(Tags.security)
def check_keys(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """SECRET_KEY, the keys of encrypted fields, and the key that signs access tokens."""
    return [*_secret_key(), *_encryption_keys(), *_blind_index_key(), *_jwt_key(), *_metrics()]


@register()
def check_values(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """Addresses, choices and numbers."""
    return [*_addresses(), *_choices_known(), *_numbers()]


def _secret_key() -> list[CheckMessage]:
    key = settings.SECRET_KEY
    strong = len(key) >= MIN_SECRET_LENGTH and len(set(key)) >= MIN_SECRET_VARIETY
    if settings.DEBUG or (strong and not key.startswith("django-insecure-")):
        return []
    return [
        Error(
            "SECRET_KEY is too weak: it signs sessions and links.",
            hint=f"Set SECRET_KEY to at least {MIN_SECRET_LENGTH} random characters, for example from "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'.",
            id="castcomm.E001",
        )
    ]


def _encryption_keys() -> list[CheckMessage]:
    make = 'python3 -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
    if not settings.FIELD_ENCRYPTION_KEYS:
        return [
            Error(
                "FIELD_ENCRYPTION_KEYS is not set: phone numbers and secrets are stored encrypted.",
                hint=f"Set FIELD_ENCRYPTION_KEYS to a Fernet key, for example from {make}. Keep it as safe as "
                "the database: without it those fields stay closed.",
                id="castcomm.E002",
            )
        ]
    for position, key in enumerate(settings.FIELD_ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    f"Key {position} of FIELD_ENCRYPTION_KEYS is not a Fernet key.",
                    hint=f"A Fernet key is 32 bytes in URL-safe base64, for example from {make}.",
                    id="castcomm.E003",
                )
            ]
    return []


def _blind_index_key() -> list[CheckMessage]:
    if len(settings.BLIND_INDEX_KEY) >= MIN_TOKEN_LENGTH:
        return []
    return [
        Error(
            "BLIND_INDEX_KEY is not set or too short: it makes encrypted addresses searchable.",
            hint=f"Set BLIND_INDEX_KEY to at least {MIN_TOKEN_LENGTH} random characters, and never change it.",
            id="castcomm.E004",
        )
    ]


def _jwt_key() -> list[CheckMessage]:
    hint = (
        "Set JWT_PRIVATE_KEY to an RSA key in PEM, with \\n for the line ends, from "
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048."
    )
    pem = settings.HEADLESS_JWT_PRIVATE_KEY
    if not pem:
        return [Error("JWT_PRIVATE_KEY is not set: it signs access tokens.", hint=hint, id="castcomm.E005")]
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        return [Error("JWT_PRIVATE_KEY cannot be read.", hint=hint, id="castcomm.E006")]
    if not isinstance(key, RSAPrivateKey) or key.key_size < MIN_RSA_BITS:
        message = f"JWT_PRIVATE_KEY is not an RSA key of at least {MIN_RSA_BITS} bits."
        return [Error(message, hint=hint, id="castcomm.E006")]
    return []


def _metrics() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < MIN_TOKEN_LENGTH:
        found.append(
            Error(
                "METRICS_TOKEN is too short to keep anyone out.",
                hint=f"Set at least {MIN_TOKEN_LENGTH} random characters, or leave it empty.",
                id="castcomm.E007",
            )
        )
    for entry in settings.METRICS_ALLOWED_IPS:
        try:
            ipaddress.ip_network(entry, strict=False)
        except ValueError:
            found.append(
                Error(
                    f"METRICS_ALLOWED_IPS names {entry!r}, which is no address.",
                    hint="Write addresses or networks, separated by commas: 127.0.0.1,10.0.0.0/8.",
                    id="castcomm.E008",
                )
            )
    return found


def _addresses() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name in ("PUBLIC_URL", "FRONTEND_URL"):
        value = getattr(settings, name)
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            found.append(
                Error(
                    f"{name} is {value!r}, which is no address with http:// or https://.",
                    hint=f"Set {name} to where people reach it, for example https://castcomm.example.com.",
                    id="castcomm.E010",
                )
            )
        elif parts.scheme != "https" and not settings.DEBUG and not _is_local(parts.hostname):
            found.append(
                Warning(
                    f"{name} is not https: cookies and links travel in the clear.",
                    hint=f"Put a proxy with TLS in front and set {name} to its https address.",
                    id="castcomm.W011",
                )
            )
    for origin in settings.CORS_ALLOWED_ORIGINS:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path:
            found.append(
                Error(
                    f"CORS_ORIGINS names {origin!r}, which is no origin.",
                    hint="Write scheme and host, without a path: https://app.example.com.",
                    id="castcomm.E012",
                )
            )
    return found


def _choices_known() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for setting, (number, choices) in _choices.items():
        value = getattr(settings, setting)
        known = sorted(choices())
        if value and value not in known:
            found.append(
                Error(
                    f"{setting} is {value!r}, which nothing provides.",
                    hint=f"Set {setting} to one of: {', '.join(known)}.",
                    id=f"castcomm.{number}",
                )
            )
    if settings.LOG_FORMAT not in {"json", "console"}:
        found.append(
            Error(
                f"LOG_FORMAT is {settings.LOG_FORMAT!r}.",
                hint="Set LOG_FORMAT to json or console.",
                id="castcomm.E013",
            )
        )
    return found


# What has to be more than nothing, with its unit.
_POSITIVE = {
    "WS_HEARTBEAT_INTERVAL": "milliseconds",
    "WS_CONNECTION_TIMEOUT": "milliseconds",
    "WS_MAX_CONNECTIONS": "sockets per process",
    "WS_RATE_PER_MINUTE": "events",
    "SMTP_TIMEOUT": "seconds",
    "EMAIL_QUEUE_CONCURRENT": "sends at once",
    "EMAIL_RETRY_DELAY": "milliseconds",
    "NOTIFICATION_BATCH_SIZE": "deliveries",
    "HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN": "seconds (JWT_ACCESS_SECONDS)",
    "HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN": "seconds (JWT_REFRESH_SECONDS)",
}


def _numbers() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    scale = settings.DEMO_TIME_SCALE
    if not math.isfinite(scale) or scale <= 0:
        found.append(
            Error(
                f"DEMO_TIME_SCALE is {scale}; delays are divided by it.",
                hint="Set DEMO_TIME_SCALE to 1 for real time, or to a larger number to shorten delays.",
                id="castcomm.E014",
            )
        )
    elif scale != 1 and not settings.DEBUG:
        found.append(
            Warning(
                f"DEMO_TIME_SCALE is {scale}: a day of a workflow lasts {86400 / scale:.0f} seconds.",
                hint="Leave DEMO_TIME_SCALE unset in production.",
                id="castcomm.W015",
            )
        )
    for name, unit in _POSITIVE.items():
        value = getattr(settings, name)
        if value <= 0:
            found.append(
                Error(
                    f"{name} is {value}; it must be more than 0.",
                    hint=f"Set it in {unit}, or leave it out for the default.",
                    id="castcomm.E016",
                )
            )
    return found


def _is_local(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"}
