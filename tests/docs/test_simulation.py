"""The examples of docs/simulation.md, run as they stand there on the demo organization."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from io import StringIO
from pathlib import Path

import pytest
import time_machine
from django.core.management import call_command

from accounts.models import User
from notifications.models import QuietHours
from workflows.engine.live import live_engine
from workflows.models import Workflow
from workflows.services.triggering import trigger_event

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def printed_by(command: str) -> str:
    name, *arguments = shlex.split(command.removeprefix("manage.py "))
    out = StringIO()
    call_command(name, *arguments, stdout=out, no_color=True)
    return out.getvalue()


@pytest.mark.django_db
def test_the_examples_print_what_the_page_says() -> None:
    with time_machine.travel(dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC), tick=False) as traveller:
        call_command("demo", outside_debug=True, stdout=StringIO())
        workflow = Workflow.objects.get(key="welcome_sequence")
        person = User.objects.get(email="demo-actor@example.com")
        QuietHours.objects.filter(user=person).delete()
        QuietHours.objects.create(
            organization=workflow.organization,
            user=person,
            start=dt.time(22),
            end=dt.time(8),
            days=list(range(7)),
        )
        [execution] = trigger_event(organization=workflow.organization, event="user_registered", user=person)
        live_engine().run_due()
        traveller.shift(dt.timedelta(days=1))
        live_engine().run_due()
        steps = [dict(step) for step in workflow.definition["steps"]]
        steps[2]["duration"] *= 3
        workflow.definition = {**workflow.definition, "steps": steps}
        workflow.save()
        said = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
        examples = [one for block in said for one in re.findall(r"\$ (.*)\n((?:[^$].*\n)*)", block)]
        assert examples
        for command, text in examples:
            printed = printed_by(command.replace("EXECUTION", str(execution.id)))
            assert _ID.sub("ID", printed) == _ID.sub("ID", text), printed
