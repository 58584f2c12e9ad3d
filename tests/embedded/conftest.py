"""A checkout in miniature, so that what bin/run does to processes is tried on real ones in seconds."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from castcomm.embedded import ports, process
from castcomm.embedded.places import find_places
from castcomm.embedded.servers import lasting_servers

REPOSITORY = Path(__file__).resolve().parents[2]
_MANAGE = 'import os, sys\nprint(sys.argv[1], "on", os.environ["DATABASE_URL"].partition(":")[0])\n'
_WEB = """\
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
_PROCFILE = """\
web: exec python web.py
worker: echo "celery@here ready." && exec sleep 1000
mail: exec python -m castcomm.embedded mail --smtp-port $MAIL_SMTP_PORT --http-port $MAIL_HTTP_PORT \
--folder var/mail
"""


def _heed_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Miniature:
    """A checkout whose processes do next to nothing, with the real servers below them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = ports.free_port()
        self._runs: list[subprocess.Popen[str]] = []

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "castcomm.embedded", "--checkout", str(self.folder), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(REPOSITORY)}
        return kept | {"PORT": str(self.port)} | more

    def call(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, **more: str) -> subprocess.Popen[str]:
        """Start a run; it need not be ready yet."""
        child = subprocess.Popen(
            self.command("run"),
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Whoever runs the tests may ignore it (nohup does); a terminal's child does not.
            preexec_fn=_heed_hangups,  # noqa: PLW1509 - the tests start no threads
        )
        self._runs.append(child)
        return child

    def start_and_wait(self, **more: str) -> tuple[subprocess.Popen[str], str]:
        """A run that has said it is ready, and what it said until then."""
        child = self.start(**more)
        assert child.stdout is not None
        said = []
        for line in child.stdout:
            said.append(line)
            if line.startswith("─") and any("is ready" in earlier for earlier in said):
                return child, "".join(said)
        pytest.fail(f"bin/run ended with {child.wait()}:\n{''.join(said)}")

    def processes(self) -> list[str]:
        """The command lines of everything that runs from or for this checkout."""
        found = []
        home = str(find_places(self.folder).home)
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                folder = os.readlink(entry / "cwd")
            except OSError:
                continue
            belongs = str(self.folder) in line + folder or home in line + folder
            if belongs and int(entry.name) != os.getpid() and process.identify(int(entry.name)):
                found.append(line or folder)
        return found

    def wait_until_empty(self, patience: float = 15.0) -> None:
        deadline = time.monotonic() + patience
        while left := self.processes():
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(0.1)

    def finish(self) -> None:
        for child in self._runs:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            child.communicate(timeout=60)
        places = find_places(self.folder)
        for server in lasting_servers(places).values():
            server.stop()
        home = places.home
        if not home.is_relative_to(self.folder):
            shutil.rmtree(home)


@pytest.fixture
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Miniature]:
    # A space in the path, as in many a home.
    folder = tmp_path_factory.mktemp("check out")
    (folder / "manage.py").write_text(_MANAGE)
    (folder / "web.py").write_text(_WEB)
    (folder / "Procfile").write_text(_PROCFILE)
    checkout = Miniature(folder)
    yield checkout
    checkout.finish()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can reach, unlike pytest's own."""
    folder = Path("/tmp") / f"castcomm-test-{secrets.token_hex(6)}"
    folder.mkdir()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < deadline, "it did not come true within 15 s"
            time.sleep(0.05)

    return wait
