"""What the three commands share: whose organization, which folder, and how a refusal is shown."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Organization
from castcomm.common.as_code.documents import Folder, parse
from castcomm.common.as_code.errors import FolderInvalid
from castcomm.common.as_code.folders import read_folder
from castcomm.common.as_code.kinds import all_kinds
from castcomm.common.as_code.planning import Plan
from castcomm.common.as_code.showing import lines_of
from castcomm.common.errors import CastCommError


class FolderCommand(BaseCommand):
    """A command about a folder and an organization."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--organization", default="", help="slug; needed when there are several")

    def folder(self, root: Path) -> Folder:
        """What the folder says; raises FolderInvalid."""
        return parse(read_folder(root), all_kinds())

    def show(self, plan: Plan) -> None:
        """The plan, coloured where the terminal has colours."""
        colours = {
            "+": self.style.SUCCESS,
            "~": self.style.WARNING,
            "-": self.style.ERROR,
            "!": self.style.NOTICE,
        }
        for line in lines_of(plan):
            mark = line.lstrip()[:1] if line.startswith("      ") else line[:1]
            self.stdout.write(colours[mark](line) if mark in colours and mark != "" else line)


def named_organization(slug: str) -> Organization:
    """The organization that is named, or the only one; raises CommandError."""
    found = Organization.objects.filter(is_active=True, **({"slug": slug} if slug else {}))[:2]
    if len(found) == 1:
        return found[0]
    raise CommandError(
        f"There is no active organization {slug!r}." if slug else "Name an organization with --organization."
    )


@contextmanager
def refusals_shown() -> Iterator[None]:
    """Each thing that is wrong on a line of its own, as the command's error (exit code 1)."""
    try:
        yield
    except FolderInvalid as error:
        count = len(error.problems)
        said = "\n".join(f"  {problem}" for problem in error.problems)
        raise CommandError(
            f"{count} problem{'s' if count > 1 else ''}; nothing was changed.\n{said}"
        ) from error
    except CastCommError as error:
        raise CommandError(f"{error.message} Nothing was changed.") from error
    except OSError as error:
        raise CommandError(f"{error.filename}: {os.strerror(error.errno or 0)}") from error
