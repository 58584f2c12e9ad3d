"""``manage.py castcomm_apply FOLDER``: bring a folder in, all or nothing."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from castcomm.common.as_code.planning import Wish, apply_folder
from workflows.management.as_code import FolderCommand, named_organization, refusals_shown

MAX_PLAN = 10_000  # bytes


class Command(FolderCommand):
    help = "Brings a folder that castcomm_export wrote into an organization: everything or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--prune", action="store_true", help="delete what is in no file")
        parser.add_argument(
            "--publish", action="store_true", help="publish the drafts of what is in the files"
        )
        parser.add_argument(
            "--plan",
            type=Path,
            help="apply exactly this plan; refused when the folder or the state is another",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        expected = _read_plan(options["plan"]) if options["plan"] else None
        wish = Wish(prune=options["prune"], publish=options["publish"])
        if expected is not None:
            wish = Wish(prune=expected["prune"] is True, publish=expected["publish"] is True)
        with refusals_shown():
            plan = apply_folder(
                organization=named_organization(options["organization"]),
                folder=self.folder(options["folder"]),
                wish=wish,
                expected=expected,
            )
        self.show(plan)
        if not plan.is_empty:
            self.stdout.write("  Done.")


def _read_plan(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            plan = json.loads(file.read(MAX_PLAN))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read as a plan: {error}") from error
    names = ("organization", "prune", "publish", "state", "folder")
    if not isinstance(plan, dict) or set(plan) != set(names):
        raise CommandError(f"{path} is no plan; castcomm_plan --out writes one.")
    return plan
