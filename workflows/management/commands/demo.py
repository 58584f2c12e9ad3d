"""``manage.py demo``: load the demo organization."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.services import demo as accounts_demo
from castcomm.common.errors import CastCommError
from messaging.services import demo as messaging_demo
from notifications.services import demo as notifications_demo
from workflows.services import demo as workflows_demo


class Command(BaseCommand):
    help = "Loads the demo organization, its people, templates, conversation and Welcome Sequence, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--outside-debug",
            action="store_true",
            help="Load it although DEBUG is off; everyone knows the demo's passwords.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                people = accounts_demo.load(allow_outside_debug=options["outside_debug"])
                notifications_demo.load(people.organization)
                messaging_demo.load(people.organization)
                workflow = workflows_demo.load(people.organization)
        except CastCommError as error:
            raise CommandError(error.message) from error
        state = "loaded" if people.created else "was there already"
        self.stdout.write(f"The demo organization {people.organization.slug!r} {state}.")
        self.stdout.write(f"Workflow: {workflow.name} ({workflow.key}), started by {workflow.trigger_event}.")
        self.stdout.write("Sign in as:")
        for line in people.lines:
            self.stdout.write(f"  {line}")
