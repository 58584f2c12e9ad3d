"""Checks of where alerts go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from notifications.services.alerts import SETTINGS
from notifications.services.webhook_form import is_secret


@register()
def check_alerts(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """Addresses that are none, and a generic one whose receiver could not tell who calls."""
    found: list[CheckMessage] = []
    for name in SETTINGS:
        parts = urlsplit(getattr(settings, name))
        if getattr(settings, name) and (parts.scheme not in {"http", "https"} or not parts.hostname):
            found.append(
                Error(
                    f"{name} is no address with http:// or https://.",
                    hint=f"Set {name} to the whole URL, or leave it empty.",
                    id="castcomm.E040",
                )
            )
    if settings.ALERT_WEBHOOK_URL and not is_secret(settings.ALERT_WEBHOOK_SECRET):
        found.append(
            Error(
                "ALERT_WEBHOOK_URL is set and ALERT_WEBHOOK_SECRET is no secret of Standard Webhooks.",
                hint="Set ALERT_WEBHOOK_SECRET to whsec_ and 24 to 64 random bytes in base64, for example from "
                "python3 -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\".",
                id="castcomm.E041",
            )
        )
    return found
