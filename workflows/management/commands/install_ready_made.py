"""``manage.py install_ready_made``: add the messages and workflows that come with CastComm."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from castcomm.common.as_code.installing import Found, Installed, names_of
from notifications.services.ready_made import ready_made
from workflows.management.as_code import named_organization, refusals_shown
from workflows.services.ready_made import KEYS, SWITCHED_OFF, install_everything


class Command(BaseCommand):
    help = "Adds the ready-made templates, event types and workflows that are missing; what is there stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", default="", help="slug; needed when there are several")
        parser.add_argument(
            "--only",
            default="",
            help="with commas: welcome,nda_request or templates/welcome; and what they need",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        only = [name.strip() for name in options["only"].split(",") if name.strip()]
        known = [*names_of(ready_made()), *(f"workflows/{key}" for key in KEYS)]
        for name in only:
            if name not in {*known, *(one.split("/")[1] for one in known)}:
                raise CommandError(f"There is no ready-made {name!r}; there are {', '.join(known)}.")
        with refusals_shown():
            done = install_everything(
                organization=named_organization(options["organization"]), only=only or None
            )
        for one in done:
            self.stdout.write(_line(one))
        count = sum(one.found is Found.ADDED for one in done)
        self.stdout.write(f"{count} added, {len(done) - count} left as they were.")


def _line(one: Installed) -> str:
    if one.found is Found.ADDED:
        off = one.name.startswith("workflows/") and one.name.split("/")[1] in SWITCHED_OFF
        return f"+ {one.name}" + (": published, switched off" if off else "")
    return f"  {one.name}: {'there, as it comes' if one.found is Found.AS_IT_COMES else 'there, and changed'}"
