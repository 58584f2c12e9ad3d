"""``manage.py simulate KEY --user ADDRESS``: what a workflow would do for somebody, without doing it."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from accounts.models import Organization
from castcomm.common.errors import CastCommError
from castcomm.common.ids import parse_id
from workflows.errors import DefinitionInvalid
from workflows.management.people import find_people, find_workflow, read_json
from workflows.services.backtesting import Beside, simulate_beside
from workflows.services.simulating import Simulation, simulate_workflow
from workflows.simulation.course import Course
from workflows.simulation.runs import SimulatedRun
from workflows.simulation.telling import simulation_json
from workflows.timelines import NOT_REACHED, TimelineSend, TimelineStep


class Command(BaseCommand):
    help = "Tells what a workflow would do for people on a virtual clock. Nothing is sent and nothing is written."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workflow", help="its key, for example welcome_sequence")
        parser.add_argument(
            "--user", required=True, action="append", help="e-mail address or id of a member; may be repeated"
        )
        parser.add_argument("--organization", default="", help="slug; needed when the person has several")
        parser.add_argument("--days", type=float, default=30.0, help="how long (default %(default)s)")
        parser.add_argument("--start", default="", help="when it begins, with offset; now unless given")
        parser.add_argument(
            "--data", default="{}", help="a JSON object, the data of the event that starts it"
        )
        parser.add_argument(
            "--version-number", dest="number", type=int, help="a published version; the draft unless given"
        )
        parser.add_argument(
            "--assume",
            default="{}",
            help='a JSON object, such as {"opened": "PT2H", "events": [{"after": "P2D", "event": "bought"}]}',
        )
        parser.add_argument(
            "--beside",
            default="",
            metavar="EXECUTION",
            help="print a run that happened beside the same run simulated",
        )
        parser.add_argument("--json", action="store_true", help="print what the API answers")

    def handle(self, *args: Any, **options: Any) -> None:
        organization, users = find_people(options["user"], options["organization"])
        workflow = find_workflow(organization, options["workflow"])
        if options["beside"]:
            self._beside(organization, options["beside"])
            return
        try:
            simulation = simulate_workflow(
                organization=organization,
                users=[user.id for user in users],
                workflow=workflow,
                version=options["number"],
                start=_moment(options["start"]),
                data=read_json(options["data"], "--data"),
                assumptions=read_json(options["assume"], "--assume"),
                horizon=dt.timedelta(days=options["days"]),
                rendering=True,
            )
        except DefinitionInvalid as error:
            raise CommandError("\n".join(f"{one.path}: {one.message}" for one in error.problems)) from error
        except CastCommError as error:
            raise CommandError(f"{error.attr}: {error.message}" if error.attr else error.message) from error
        if options["json"]:
            told = {"workflow": workflow.key, **simulation_json(simulation)}
            self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
            return
        for line in simulation_lines(workflow.name, simulation):
            self.stdout.write(line)

    def _beside(self, organization: Organization, named: str) -> None:
        execution_id = parse_id(named)
        if execution_id is None:
            raise CommandError("--beside is the id of an execution.")
        try:
            beside = simulate_beside(organization=organization, execution_id=execution_id)
        except CastCommError as error:
            raise CommandError(error.message) from error
        for line in beside_lines(beside):
            self.stdout.write(line)


def beside_lines(beside: Beside) -> Iterator[str]:
    """Two timelines step by step: one line where they are the same, both where they are not."""
    yield f"Execution {beside.execution.id} beside its simulation"
    for real, simulated in itertools.zip_longest(beside.real, beside.simulated):
        if real == simulated:
            yield f"  same       {_row(real)}"
        else:
            yield f"  real       {_row(real)}"
            yield f"  simulated  {_row(simulated)}"
    yield "The timelines are identical." if beside.is_identical else "The timelines differ."


def _row(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "nothing"
    after = f"+{dt.timedelta(seconds=row['after'])}" if "after" in row else ""
    sends = [
        f"{send['channel']}: {', '.join(one['action'] + ' ' + one['reason'] for one in send['decisions'])}"
        for send in row.get("sends", ())
    ]
    result = json.dumps(row["result"], sort_keys=True) if row.get("result") else ""
    parts = (f"{row['path']:4} {row['type']:14} {row['status']:12} {after:16}", result, *sends)
    return "  ".join(part for part in parts if part).rstrip()


def simulation_lines(name: str, simulation: Simulation) -> Iterator[str]:
    """A simulation for the terminal."""
    what = f"version {simulation.version}" if simulation.version is not None else "draft"
    yield f"{name}, {what}, simulated from {_shown(simulation.start)} to {_shown(simulation.until)}. Nothing was sent."
    for course in simulation.courses:
        yield from _course_lines(course)


def _course_lines(course: Course) -> Iterator[str]:
    yield f"{course.person.fields['email']} ({course.person.fields['time_zone']})"
    for one in course.happenings:
        yield f"  assumed: {_shown(one.at)}  {one.what} {one.name} {json.dumps(one.data)}  {one.effect}".rstrip()
    for run in course.runs:
        yield from run_lines(run, run.timeline(course.world.definition))
    for digest in course.outbox.windows.all:
        yield f"  digest {digest.cadence}, closes {_shown(digest.closes_at)}: {', '.join(digest.titles) or 'nothing'}"


def run_lines(run: SimulatedRun, timeline: list[TimelineStep]) -> Iterator[str]:
    """One run with its steps."""
    yield f"  {run.status.value}{': ' + run.reason if run.reason else ''}"
    for step in timeline:
        at = step.finished_at or step.due_at
        when = f"+{at - run.started_at}" if at is not None else ""
        yield f"    {step.path:4} {step.type:14} {step.status:12} {when:20} {_said(step)}".rstrip()
        yield from (f"         {line}" for send in step.sends for line in _send_lines(send))


def _said(step: TimelineStep) -> str:
    result = step.result or {}
    if step.error:
        return step.error
    if step.status == NOT_REACHED or not result:
        return ""
    if "check" in result:
        read = ", ".join(f"{name} = {value}" for name, value in result.get("read", {}).items())
        return f"{result['check']} is {str(result['value']).lower()} ({read})"
    return str(result.get("skipped", ""))


def _send_lines(send: TimelineSend) -> Iterator[str]:
    left = f"goes out {_shown(send.left_at)}" if send.left_at is not None else f"{send.status}"
    yield f"{send.channel}: {left}{'  ' + repr(send.subject) if send.subject else ''}"
    for one in send.decisions:
        yield f"  {one.action}: {one.sentence}"
    if send.error:
        yield f"  {send.error}"


def _shown(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _moment(text: str) -> dt.datetime | None:
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError("--start is a moment with its offset, such as 2026-12-01T09:00:00Z.")
    return moment
