"""``manage.py explain NOTIFICATION_ID``: why each channel of a notification was or was not used."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from castcomm.common.errors import NotFound
from castcomm.common.ids import parse_id
from notifications.services.explain import explain_notification


class Command(BaseCommand):
    help = "Say why each channel of a notification was or was not used."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("notification_id")
        parser.add_argument("--json", action="store_true", help="the whole record as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        notification_id = parse_id(options["notification_id"])
        if notification_id is None:
            raise CommandError(f"{options['notification_id']!r} is not an id.")
        try:
            told = explain_notification(notification_id=notification_id, organization=None)
        except NotFound as error:
            raise CommandError(error.message) from error
        if options["json"]:
            self.stdout.write(json.dumps(told, indent=2, default=str))
            return
        self.stdout.write(f"{told['event_type']} to {told['recipient']}, asked for by {told['source']}")
        self.stdout.write(f"accepted {told['created_at']}, request {told['request']}")
        for channel in told["channels"]:
            self._tell(channel)

    def _tell(self, channel: dict[str, Any]) -> None:
        self.stdout.write("")
        self.stdout.write(f"{channel['channel']:<7} {channel['status']}")
        self.stdout.write(f"        {channel['sentence']}")
        for attempt in channel.get("attempts", []):
            line = f"        attempt {attempt['number']} through {attempt['provider']} at {attempt['started_at']}: "
            self.stdout.write(
                line + attempt["outcome"] + (f" ({attempt['detail']})" if attempt["detail"] else "")
            )
        if channel.get("template_version"):
            self.stdout.write(f"        template {channel['template_version']}")
