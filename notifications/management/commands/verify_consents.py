"""``manage.py verify_consents``: whether the records of consent are whole. Ends with 1 when they are not."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Organization
from notifications.models import ConsentRecord
from notifications.services.consent_proofs import verify


class Command(BaseCommand):
    help = "Checks the seals of all records of consent, and that the switches agree with the last of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", metavar="SLUG", help="Only this one.")

    def handle(self, *args: Any, **options: Any) -> None:
        organizations = Organization.objects.all()
        if options["organization"]:
            organizations = organizations.filter(slug=options["organization"])
            if not organizations:
                raise CommandError(f"There is no organization {options['organization']!r}.")
        is_whole = True
        for organization in organizations:
            count = ConsentRecord.objects.for_organization(organization).count()
            broken = verify(organization.id)
            is_whole = is_whole and not broken
            self.stdout.write(f"{organization.slug}: {count} records, {len(broken)} broken")
            for one in broken:
                where = f"record {one.record_id}" if one.record_id else "no record"
                self.stdout.write(f"  {one.who}: {one.matter.strip()} ({where}). {one.problem}")
        if not is_whole:
            sys.exit(1)
