"""A Chromium for the browser tests: the system's, Playwright's, or one fetched now."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from castcomm.embedded.console import say

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FETCH_SECONDS = 900


def find_browser() -> str | None:
    """The path of a Chromium that starts; None when there is none."""
    return next((path for path in _candidates() if _starts(path)), None)


def fetch_browser() -> str:
    """Install Chromium; "" when it worked, else the reason why not."""
    reasons = []
    for title, commands in _ways():
        say(f"No Chromium found; fetching one ({title}) …")
        reason = next((reason for command in commands if (reason := _failure(command))), "")
        if not reason and find_browser() is not None:
            return ""
        reasons.append(f"{title}: {reason or 'it does not start here'}")
    return "; ".join(reasons)


def _candidates() -> Iterator[str]:
    if chosen := os.environ.get("CHROMIUM_PATH"):
        yield chosen
    for name in _NAMES:
        if found := shutil.which(name):
            yield found
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    for path in sorted(cache.glob("chromium-*/chrome-linux*/chrome"), reverse=True):
        yield str(path)


def _starts(path: str) -> bool:
    """A file called chromium may be a stub that asks for a snap, or lack libraries."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def _ways() -> Iterator[tuple[str, list[list[str]]]]:
    if os.geteuid() == 0 and _is_debian() and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
        yield "apt-get install chromium", [["apt-get", "update"], install]
    yield "playwright install chromium", [[sys.executable, "-m", "playwright", "install", "chromium"]]


def _is_debian() -> bool:
    """Ubuntu's package of that name only asks for a snap."""
    try:
        return "ID=debian" in Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return False


def _failure(command: list[str]) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_SECONDS, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode == 0:
        return ""
    lines = (result.stderr or result.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit status {result.returncode}"
