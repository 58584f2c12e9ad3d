"""``manage.py workflow_status EXECUTION``: the timeline of one execution."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from castcomm.common.ids import parse_id
from workflows.models import Execution, StepStatus
from workflows.selectors import timeline_of
from workflows.timelines import TimelineStep


class Command(BaseCommand):
    help = "Shows each step of an execution: when it ran, what came of it, what it sent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("execution", help="the execution's id, as printed by manage.py trigger")

    def handle(self, *args: Any, **options: Any) -> None:
        identifier = parse_id(options["execution"])
        execution = (
            Execution.objects.filter(id=identifier).select_related("workflow", "version", "user").first()
            if identifier
            else None
        )
        if execution is None:
            raise CommandError(f"There is no execution {options['execution']}.")
        self.stdout.write(
            f"{execution.workflow.name}, version {execution.version.number}, for {execution.user.email}"
        )
        ended = f", {_clock(execution.finished_at)}" if execution.finished_at else ""
        self.stdout.write(f"{execution.status}, started {_clock(execution.started_at)}{ended}")
        if execution.reason:
            self.stdout.write(f"Reason: {execution.reason}")
        for step in timeline_of(execution):
            for line in _lines(step):
                self.stdout.write(line)


def _lines(step: TimelineStep) -> list[str]:
    state = step.status.replace("_", " ")
    moment = step.finished_at
    if step.status == StepStatus.WAITING:
        state, moment = "waiting until", step.due_at
    lines = [f"  {step.path:>3}  {step.type:<13} {state:<13} {_clock(moment)}".rstrip()]
    if step.notification_id:
        lines.append(f"       notification {step.notification_id}")
    if step.type == "condition" and step.result:
        read = ", ".join(f"{name} = {value}" for name, value in step.result["read"].items())
        lines.append(f"       {step.result['check']} is {str(step.result['value']).lower()} ({read})")
    if step.error:
        lines.append(f"       {step.error}")
    return lines


def _clock(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
