"""``manage.py install_ready_made --organization SLUG``: add the messages that come with CastComm."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Organization
from notifications.services.ready_made import install_ready_made


class Command(BaseCommand):
    help = "Add the ready-made templates and event types that an organization lacks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, help="slug")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']!r}.")
        added = install_ready_made(organization=organization)
        self.stdout.write(f"Added: {', '.join(added) if added else 'nothing; all was there'}")
