""".env.example and castcomm/settings.py name the same variables, and the examples work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from notifications.providers.base import providers_of

ROOT = Path(__file__).resolve().parents[2]
_READ = re.compile(r'(?:env\.\w+|_secret)\(\s*"([A-Z][A-Z_]+)"')
_PAIRED = re.compile(r'env\.\w+\(f"\{_prefix\}_([A-Z_]+)"')
_LINE = re.compile(r"^#?([A-Z][A-Z_]+)=(.*)$", re.MULTILINE)


def read_by_settings() -> set[str]:
    source = (ROOT / "castcomm/settings.py").read_text()
    paired = {f"{prefix}_{name}" for prefix in ("GOOGLE", "GITHUB") for name in _PAIRED.findall(source)}
    return set(_READ.findall(source)) | paired | named_by_providers()


def named_by_providers() -> set[str]:
    """A provider's class names the variables of its account; the settings pass them on."""
    kinds = [kind for channel in ("email", "sms", "push") for _, kind in providers_of(channel).items()]
    return {name for kind in kinds for field in kind.credentials for name in field.env}


def in_example() -> dict[str, str]:
    return dict(_LINE.findall((ROOT / ".env.example").read_text()))


def test_every_variable_is_described_and_none_is_dead() -> None:
    described, read = set(in_example()), read_by_settings()
    assert read - described == set(), "describe these in .env.example"
    assert described - read == set(), "nothing reads these"


def test_nothing_else_reads_the_environment() -> None:
    """House rule: settings are read in one place; the embedded servers and the entry points stand before it."""
    before_settings = {"castcomm/settings.py", "castcomm/asgi.py", "castcomm/celery.py"}
    offenders = [
        str(path.relative_to(ROOT))
        for app in ("castcomm", "accounts", "notifications", "messaging", "workflows")
        for path in (ROOT / app).rglob("*.py")
        if "os.environ" in path.read_text() or "getenv(" in path.read_text()
    ]
    embedded = {name for name in offenders if name.startswith("castcomm/embedded/")}
    assert set(offenders) - embedded - before_settings == set()


def test_the_values_of_the_example_pass_the_checks() -> None:
    # DEBUG makes the secrets that the example leaves out.
    given = {name: value for name, value in in_example().items() if value} | {"DEBUG": "true"}
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **given}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize(
    ("written", "size"), [("", 8), ("DATABASE_POOL_SIZE=3", 3), ("DATABASE_POOL_SIZE=0", 0)]
)
def test_the_web_process_has_the_pool_that_the_file_asks_for(tmp_path: Path, written: str, size: int) -> None:
    # The settings read the .env of their own checkout, so this needs one.
    shutil.copytree(ROOT / "castcomm", tmp_path / "castcomm", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".env").write_text(f"DEBUG=true\n{written}\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    code = "import castcomm.asgi; from django.conf import settings; print(settings.DATABASE_POOL_SIZE)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == size
