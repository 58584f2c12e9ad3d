"""``manage.py import_suppressions FILE --organization SLUG``: addresses from a CSV file onto the suppression list."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.selectors import find_organization
from notifications.services.suppression_import import ImportReport, import_suppressions, read_csv


class Command(BaseCommand):
    help = "Put the addresses of a CSV file on an organization's suppression list; files of any size."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a CSV file in UTF-8 with a column address; - reads standard input")
        parser.add_argument("--organization", required=True, help="the organization's slug")
        parser.add_argument("--all-or-nothing", action="store_true", help="write nothing when a row is wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = find_organization(options["organization"])
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']!r}.")
        try:
            source = sys.stdin.buffer if options["file"] == "-" else open(options["file"], "rb")  # noqa: SIM115
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        with source:
            report = import_suppressions(
                organization=organization, rows=read_csv(source), all_or_nothing=options["all_or_nothing"]
            )
        self._tell(report)
        if report.refused:
            raise CommandError(
                "Nothing was written." if options["all_or_nothing"] else "Not every row was taken."
            )

    def _tell(self, report: ImportReport) -> None:
        self.stdout.write(
            f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged, {report.refused} not taken"
        )
        if report.kept:
            self.stdout.write(f"{report.kept} keep a stronger reason or a later end than the file gives")
        for error in report.errors:
            self.stderr.write(f"line {error.line}: {error.attr}: {error.message}")
        if report.refused > len(report.errors):
            self.stderr.write(f"… and {report.refused - len(report.errors)} more")
