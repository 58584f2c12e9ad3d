"""``manage.py trigger EVENT --user ADDRESS``: report an event and say what it set off."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Organization, User
from castcomm.common.errors import CastCommError
from workflows.management.people import find_person, read_json
from workflows.models import Execution, StepRun, StepStatus
from workflows.services.triggering import ReportedEvent, report_event

_POLL = 0.1  # seconds


class Command(BaseCommand):
    help = "Reports an event for a person, as POST /api/v1/events does, and shows what it set off."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("event", help="for example user_registered")
        parser.add_argument("--user", required=True, help="e-mail address or id of a member")
        parser.add_argument("--data", default="{}", help="a JSON object, the event's data")
        parser.add_argument("--organization", default="", help="slug; needed when the person has several")
        parser.add_argument("--key", default="", help="idempotency key: the same key starts nothing twice")
        parser.add_argument(
            "--wait", type=float, default=5.0, help="seconds to wait for the workers (default %(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        organization, user = find_person(options["user"], options["organization"])
        try:
            reported = report_event(
                organization=organization,
                event=options["event"],
                user=user,
                data=read_json(options["data"], "--data"),
                idempotency_key=options["key"],
                source="command",
            )
        except CastCommError as error:
            where = f"{error.attr}: " if error.attr else ""
            raise CommandError(f"{where}{error.message}") from error
        self._present(reported, options["event"], user, organization)
        for execution in reported.executions:
            self._follow(execution, options["wait"])

    def _present(self, reported: ReportedEvent, event: str, user: User, organization: Organization) -> None:
        self.stdout.write(f"Event {event} for {user.email} in {organization.slug}")
        for sent in reported.notification.notifications if reported.notification else []:
            self.stdout.write(f"  notification {sent.id}  sent for the event itself")
        for execution in reported.executions:
            self.stdout.write(
                f"  execution {execution.id}  {execution.workflow.name}, version {execution.version.number}"
            )
        for key, reason in reported.refused.items():
            self.stdout.write(f"  not started: {key}: {reason}")
        if not reported.executions and not reported.refused:
            self.stdout.write("  No active workflow listens to this event.")

    def _follow(self, execution: Execution, seconds: float) -> None:
        """Show what the workers do with ``execution`` until it sleeps, ends, or ``seconds`` are over."""
        deadline = time.monotonic() + seconds
        while not (settled := _is_settled(execution)) and time.monotonic() < deadline:
            time.sleep(_POLL)
        for step in StepRun.objects.filter(execution=execution, notification__isnull=False):
            self.stdout.write(
                f"  notification {step.notification_id}  sent by step {step.path} ({step.step_type})"
            )
        execution.refresh_from_db()
        if not settled and seconds:
            self.stdout.write(
                f"  No worker has finished its first steps within {seconds:g} s; is one running?"
            )
        self.stdout.write("Go on with:")
        self.stdout.write(f"  manage.py workflow_status {execution.id}")
        self.stdout.write("  manage.py explain NOTIFICATION_ID")


def _is_settled(execution: Execution) -> bool:
    last = StepRun.objects.filter(execution=execution).order_by("-position").first()
    if last is None or last.status not in {StepStatus.WAITING, StepStatus.RUNNING}:
        return True
    # A step that has begun and waits is asleep; one that has not begun is still to be picked up.
    return last.status == StepStatus.WAITING and last.started_at is not None
