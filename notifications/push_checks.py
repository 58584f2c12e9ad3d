"""Checks of what is configured for push."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, register

from notifications.providers.push.fcm import check_token_uri, service_account_of
from notifications.providers.push.vapid import BadVapidKeys, read_keys
from notifications.services.provider_accounts import environment_value


@register()
def check_push(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """The VAPID pair and the service account of the environment."""
    return [*_vapid(), *_firebase()]


def _vapid() -> list[CheckMessage]:
    private, public = environment_value("VAPID_PRIVATE_KEY"), environment_value("VAPID_PUBLIC_KEY")
    if not private and not public:
        return []
    try:
        if not private:
            raise BadVapidKeys("VAPID_PUBLIC_KEY is set without VAPID_PRIVATE_KEY.")
        read_keys(private, public)
    except BadVapidKeys as error:
        hint = "Set both to what manage.py make_vapid_keys prints; browsers that subscribed with other keys have to "
        return [Error(str(error), hint=f"{hint}subscribe again.", id="castcomm.E050")]
    return []


def _firebase() -> list[CheckMessage]:
    given = environment_value("FIREBASE_CREDENTIALS")
    if not given:
        return []
    try:
        found = service_account_of(given, may_be_path=True)
        missing = [name for name in ("client_email", "private_key", "token_uri") if not found.get(name)]
        if missing:
            raise ValueError(f"FIREBASE_CREDENTIALS has no {', '.join(missing)}.")
        if not found.get("project_id") and not environment_value("FCM_PROJECT_ID"):
            raise ValueError("FIREBASE_CREDENTIALS has no project_id, and FCM_PROJECT_ID is not set.")
        check_token_uri(found, "")
    except ValueError as error:
        hint = "Set FIREBASE_CREDENTIALS to a service account's JSON, or to the path of its file."
        return [Error(str(error), hint=hint, id="castcomm.E051")]
    return []
