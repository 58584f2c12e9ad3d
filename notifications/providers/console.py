"""SMS and push written to the log: for development, where no carrier is configured.

In production it refuses: nothing may count as sent that nobody carried. The text
itself stays out of the log; a delivery's content can be read in the admin.
"""

from __future__ import annotations

import structlog
from django.conf import settings

from notifications.providers.base import (
    Provider,
    PushMessage,
    RefusedForGood,
    SmsMessage,
    push_providers,
    sms_providers,
)

log = structlog.get_logger(__name__)


@sms_providers.add("console")
class ConsoleSms(Provider[SmsMessage]):
    key = "console"
    label = "Log (development)"

    def send(self, message: SmsMessage) -> str:
        if not settings.DEBUG:
            raise RefusedForGood("No SMS provider is configured.")
        log.info("sms.console", delivery_id=message.delivery_id, to=message.to, characters=len(message.text))
        return f"console-{message.delivery_id}"


@push_providers.add("console")
class ConsolePush(Provider[PushMessage]):
    key = "console"
    label = "Log (development)"

    def send(self, message: PushMessage) -> str:
        if not settings.DEBUG:
            raise RefusedForGood("No push provider is configured.")
        log.info(
            "push.console", delivery_id=message.delivery_id, user_id=message.user_id, title=message.title
        )
        return f"console-{message.delivery_id}"
