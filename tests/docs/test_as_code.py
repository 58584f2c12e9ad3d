"""The example of docs/as-code.md, run as it stands there."""

from __future__ import annotations

import contextlib
import re
import shlex
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Organization

PAGE = Path(__file__).parents[2] / "docs" / "as-code.md"
_FILE = re.compile(r"\*\*(mine/[\w./-]+)\*\*\n```\w+\n(.*?)```\n|```console\n(.*?)```\n", re.DOTALL)


def printed_by(command: str) -> str:
    name, *arguments = shlex.split(command.removeprefix("manage.py "))
    out = StringIO()
    try:
        with contextlib.suppress(SystemExit):
            call_command(name, *arguments, stdout=out, no_color=True)
    except CommandError as error:
        return f"{out.getvalue()}CommandError: {error}\n"
    return out.getvalue()


def test_the_example_does_what_the_page_says(
    organization: Organization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content, console in _FILE.findall(PAGE.read_text()):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        said = re.findall(r"\$ (.*)\n((?:[^$].*\n)*)", console)
        assert [printed_by(command) for command, _ in said] == [text for _, text in said]
    assert list(tmp_path.glob("mine/**/*.yaml"))
