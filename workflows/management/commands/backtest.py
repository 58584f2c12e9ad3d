"""``manage.py backtest KEY --last 100``: what would have been different with the draft."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from castcomm.common.errors import CastCommError
from workflows.errors import DefinitionInvalid
from workflows.management.people import find_workflow, organization_named
from workflows.services.backtesting import Backtest, Compared, backtest_workflow
from workflows.simulation.telling import backtest_json


class Command(BaseCommand):
    help = "Tries the draft of a workflow on its last executions and lists what would have been different."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workflow", help="its key, for example welcome_sequence")
        parser.add_argument("--last", type=int, default=100, help="how many executions (default %(default)s)")
        parser.add_argument("--organization", default="", help="slug; needed when there are several")
        parser.add_argument(
            "--version-number", dest="number", type=int, help="a version; the draft unless given"
        )
        parser.add_argument("--json", action="store_true", help="print what the API answers")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = organization_named(options["organization"])
        workflow = find_workflow(organization, options["workflow"])
        try:
            backtest = backtest_workflow(
                organization=organization,
                workflow=workflow,
                last=options["last"],
                version=options["number"],
            )
        except DefinitionInvalid as error:
            raise CommandError("\n".join(f"{one.path}: {one.message}" for one in error.problems)) from error
        except CastCommError as error:
            raise CommandError(f"{error.attr}: {error.message}" if error.attr else error.message) from error
        if options["json"]:
            told = {"workflow": workflow.key, **backtest_json(backtest)}
            self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
            return
        for line in backtest_lines(workflow.name, backtest):
            self.stdout.write(line)


def backtest_lines(name: str, backtest: Backtest) -> Iterator[str]:
    """A backtest for the terminal: those that differ, then the counts."""
    counts = backtest.counts()
    count = counts.pop("executions")
    what = f"version {backtest.version}" if backtest.version is not None else "draft"
    yield f"{name}, {what}, tried on {count} execution{'s' if count != 1 else ''}. Nothing was sent."
    for one in backtest.compared:
        yield from _lines(one)
    for kind, number in counts.items():
        if number or kind == "different":
            yield f"{kind:16} {number}"


def _lines(compared: Compared) -> Iterator[str]:
    if compared.differences:
        execution = compared.execution
        yield f"{execution.id}  {execution.user.email}  {execution.started_at:%Y-%m-%d %H:%M:%S} UTC"
        yield from (f"  {one.sentence}" for one in compared.differences)
