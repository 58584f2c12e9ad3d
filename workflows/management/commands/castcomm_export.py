"""``manage.py castcomm_export FOLDER --organization SLUG``: write what staff set up as files."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from castcomm.common.as_code.folders import MANIFEST, write_folder
from castcomm.common.as_code.kinds import all_kinds
from castcomm.common.as_code.planning import export
from workflows.management.as_code import FolderCommand, named_organization, refusals_shown


class Command(FolderCommand):
    help = (
        "Writes event types, templates, workflows and defaults as files that can be kept in version control."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--only", default="", help="kinds, with commas: templates,workflows")

    def handle(self, *args: Any, **options: Any) -> None:
        known = [kind.name for kind in all_kinds()]
        only = [name.strip() for name in options["only"].split(",") if name.strip()]
        for name in only:
            if name not in known:
                raise CommandError(f"There is no kind {name!r}; there are {', '.join(known)}.")
        with refusals_shown():
            files = export(organization=named_organization(options["organization"]), only=only)
            owned = frozenset({*known, *(f"{name}.yaml" for name in known), MANIFEST})
            write_folder(options["folder"], files, owned=owned)
        self.stdout.write(f"{len(files)} files in {options['folder']}")
