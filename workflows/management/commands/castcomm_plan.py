"""``manage.py castcomm_plan FOLDER``: show what applying the folder would change.

Exit code 0: nothing; 2: something; 1: the folder cannot be applied.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from castcomm.common.as_code.planning import Wish, plan_folder
from workflows.management.as_code import FolderCommand, named_organization, refusals_shown

HAS_CHANGES = 2


class Command(FolderCommand):
    help = (
        "Shows what castcomm_apply would change. Exit code 0: nothing, 2: something, 1: it would be refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--prune", action="store_true", help="delete what is in no file")
        parser.add_argument(
            "--publish", action="store_true", help="publish the drafts of what is in the files"
        )
        parser.add_argument("--out", type=Path, help="keep the plan, for castcomm_apply --plan")

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_shown():
            plan = plan_folder(
                organization=named_organization(options["organization"]),
                folder=self.folder(options["folder"]),
                wish=Wish(prune=options["prune"], publish=options["publish"]),
            )
            if options["out"]:
                options["out"].write_text(json.dumps(plan.saved(), indent=2) + "\n", encoding="utf-8")
        self.show(plan)
        if not plan.is_empty:
            sys.exit(HAS_CHANGES)
