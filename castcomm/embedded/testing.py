"""bin/test: the suite on servers that are gone afterwards."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from castcomm.embedded import process
from castcomm.embedded.browser import fetch_browser, find_browser
from castcomm.embedded.console import complain, say
from castcomm.embedded.environment import passing_secrets
from castcomm.embedded.errors import EmbeddedError, StopRequested
from castcomm.embedded.places import find_places
from castcomm.embedded.run import run_environment
from castcomm.embedded.servers import throwaway_servers
from castcomm.embedded.stopping import StopWatch

_MOST_WORKERS = 8  # Each needs connections and a browser.
_OWN_PROCESS_OPTIONS = ("-n", "--numprocesses", "--pdb", "--trace", "--collect-only", "--co", "-h", "--help")


def run_tests(checkout: Path, arguments: Sequence[str]) -> int:
    """Run pytest with ``arguments``; its exit status. Servers stop however it ends. Raises EmbeddedError."""
    watch = StopWatch()
    watch.install()
    # Tests must not depend on a person's .env, so only the real environment counts here.
    settings = {name: value for name, value in os.environ.items() if value}
    added = passing_secrets(settings) | {process.MARKER: secrets.token_hex(16)} | _browser_variables()
    added |= {"DEBUG": settings.get("DEBUG", "1")}
    try:
        with throwaway_servers(find_places(checkout), settings, pause=watch.pause) as urls:
            try:
                return _pytest(checkout, arguments, run_environment(added | urls), watch)
            finally:
                process.sweep(added[process.MARKER])
    except StopRequested as stop:
        complain("Stopped.")
        return 128 + stop.signal_number


def _browser_variables() -> dict[str, str]:
    """Raises EmbeddedError when REQUIRE_BROWSER=1 and no browser can be had."""
    reason = ""
    browser = find_browser()
    if browser is None:
        reason = fetch_browser()
        browser = find_browser()
    if browser is not None:
        return {"CHROMIUM_PATH": browser}
    if os.environ.get("REQUIRE_BROWSER", "0") not in {"", "0"}:
        raise EmbeddedError(f"REQUIRE_BROWSER is set, and no Chromium can be had: {reason}")
    say(f"Browser tests will be skipped: {reason}")
    return {"BROWSER_MISSING_REASON": reason}


def _pytest(checkout: Path, arguments: Sequence[str], environment: dict[str, str], watch: StopWatch) -> int:
    # In the terminal's own process group, so that --pdb works and Ctrl-C reaches pytest by itself.
    child = subprocess.Popen(
        [sys.executable, "-m", "pytest", *_parallel(arguments), *arguments],
        cwd=checkout,
        env=environment,
        preexec_fn=process.dies_with_parent(),  # noqa: PLW1509
    )
    try:
        return watch.wait_for(child)
    except StopRequested:
        for number, patience in ((None, 3), (signal.SIGINT, 15), (signal.SIGKILL, 5)):
            if number is not None:
                child.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=patience)
                break
        raise


def _parallel(arguments: Sequence[str]) -> list[str]:
    if any(argument.split("=")[0] in _OWN_PROCESS_OPTIONS for argument in arguments):
        return []
    cores = len(os.sched_getaffinity(0))
    return ["-n", str(min(cores, _MOST_WORKERS)), "--dist", "loadgroup"]
