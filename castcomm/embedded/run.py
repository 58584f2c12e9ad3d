"""bin/run: everything CastComm needs on this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import urlopen

from castcomm.embedded import ports, process
from castcomm.embedded.console import colours, complain, say
from castcomm.embedded.environment import configured, lasting_secrets, port_of
from castcomm.embedded.errors import EmbeddedError, StopRequested
from castcomm.embedded.lock import RunNote, only_run
from castcomm.embedded.places import Places, find_places, write_private
from castcomm.embedded.procfile import process_names
from castcomm.embedded.server import EmbeddedServer
from castcomm.embedded.servers import lasting_servers, start_missing
from castcomm.embedded.stopping import StopWatch

RUN_VARIABLES = "run.env"
_ON = {"1", "true", "yes", "y", "on", "ok"}  # what the settings take for it
_DEMO_DEFAULTS = {"DEBUG": "1", "DEMO_TIME_SCALE": "2880"}  # A day of a workflow lasts 30 seconds.
_READY_PATIENCE = 120.0  # seconds for the web process to say it is ready
_WORKERS_PATIENCE = 30.0  # seconds more for the workers
_HONCHO_PATIENCE = 12.0  # seconds; honcho itself kills after five
_RECORD = "\x1e"  # ASCII's record separator, between what two commands say
# One process for several commands: loading Django takes longer than most of them.
_MANAGE = f"""
import json, runpy, sys
for words in json.loads(sys.argv[1]):
    for stream in (sys.stdout, sys.stderr):
        print({_RECORD!r}, end="", flush=True, file=stream)
    sys.argv = ["manage.py", *words]
    runpy.run_path("manage.py", run_name="__main__")
"""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_WORKER_READY = re.compile(r"^\S+ (worker[\w-]*)\.\d+ +\| .*\bready\b")


def run(checkout: Path) -> int:
    """Run until a signal or until a process ends; the exit status. Raises EmbeddedError."""
    watch = StopWatch()
    watch.install()
    settings = configured(checkout)
    port = port_of(settings)
    places = find_places(checkout)
    note = RunNote(pid=os.getpid(), port=port, run_id=secrets.token_hex(16))
    with only_run(places.var, note) as earlier:
        if earlier is not None and (count := process.sweep(earlier.run_id)):
            say(f"Ended {count} processes that an earlier run left behind.")
        _require_free(port)
        return _Run(places, settings, note, watch).go()


class _Run:
    def __init__(self, places: Places, settings: dict[str, str], note: RunNote, watch: StopWatch) -> None:
        self.places = places
        self.settings = settings
        self.note = note
        self.watch = watch
        self.began = time.monotonic()
        self.added: dict[str, str] = {}
        self.mail_page: int | None = None
        self.stand_ins: int | None = None
        self.sign_in = ""
        self.ready_workers: set[str] = set()
        self.not_ready_because = ""

    def go(self) -> int:
        servers: list[EmbeddedServer] = []
        try:
            self._start_servers(servers)
            self._load()
            return self._serve()
        except StopRequested as stop:
            # As a shell reports a process that a signal ended; Ctrl-C is the usual way to end and no failure.
            return 0 if stop.signal_number == signal.SIGINT else 128 + stop.signal_number
        finally:
            (self.places.var / RUN_VARIABLES).unlink(missing_ok=True)
            process.sweep(self.note.run_id)
            for server in reversed(servers):
                server.stop()
            say("Stopped." + (f" The data stays in {self.places.home}." if servers else ""))

    def _start_servers(self, servers: list[EmbeddedServer]) -> None:
        own = lasting_servers(self.places)
        missing = [server.title for variable, server in own.items() if not self.settings.get(variable)]
        if missing:
            say(f"Starting {' and '.join(missing)} in {self.places.home} …")
        self.added = lasting_secrets(self.places.var, self.settings)
        self.added |= start_missing(own, self.settings, started=servers, pause=self.watch.pause)
        self.added |= {name: value for name, value in _DEMO_DEFAULTS.items() if name not in self.settings}
        self.added["PORT"] = str(self.note.port)
        if "PUBLIC_URL" not in self.settings and "BACKEND_URL" not in self.settings:
            self.added["PUBLIC_URL"] = f"http://localhost:{self.note.port}"
        if "SMTP_HOST" not in self.settings:
            self._choose_mail_ports()
        if (self.settings | self.added)["DEBUG"].lower() in _ON:
            self._choose_stand_ins_port()
        lines = [f"{name}={value}" for name, value in self.added.items()]
        write_private(self.places.var / RUN_VARIABLES, "\n".join(lines) + "\n")

    def _choose_mail_ports(self) -> None:
        smtp = ports.free_port(prefer=self.note.port + 25, avoid={self.note.port})
        self.mail_page = ports.free_port(prefer=self.note.port + 26, avoid={self.note.port, smtp})
        self.added |= {
            "SMTP_HOST": ports.LOOPBACK,
            "SMTP_PORT": str(smtp),
            "SMTP_USER": "",
            "SMTP_PASSWORD": "",
            "SMTP_SECURE": "false",
            "MAIL_SMTP_PORT": str(smtp),
            "MAIL_HTTP_PORT": str(self.mail_page),
        }

    def _choose_stand_ins_port(self) -> None:
        mail = {int(self.added[name]) for name in ("MAIL_SMTP_PORT", "MAIL_HTTP_PORT") if name in self.added}
        self.stand_ins = ports.free_port(prefer=self.note.port + 27, avoid={self.note.port, *mail})
        self.added["STAND_INS_PORT"] = str(self.stand_ins)

    def _environment(self) -> dict[str, str]:
        more = {process.MARKER: self.note.run_id, "PYTHONUNBUFFERED": "1"}
        if os.geteuid() == 0 and "PYTHONWARNINGS" not in os.environ:
            # Celery's half page about root, once per worker; whoever starts bin/run as root knows.
            more["PYTHONWARNINGS"] = "ignore:You're running the worker with superuser privileges"
        return run_environment(self.added) | more

    def _load(self) -> None:
        say("Migrating the database and loading the demo organization …")
        self.sign_in = self._manage(["migrate", "--no-input"], ["demo"])[-1].strip()

    def _manage(self, *commands: list[str]) -> list[str]:
        """What each management command answered. Raises EmbeddedError with the words of the one that fails.

        Log lines and warnings go to standard error and are no part of an answer.
        """
        answers, log = self.places.logs / "manage-answers.log", self.places.logs / "manage.log"
        with answers.open("wb") as output, log.open("wb") as lines:
            child = subprocess.Popen(
                [sys.executable, "-c", _MANAGE, json.dumps(commands)],
                cwd=self.places.checkout,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=lines,
                start_new_session=True,
                preexec_fn=process.dies_with_parent(),  # noqa: PLW1509
            )
            status = self.watch.wait_for(child)
        said, complained = (file.read_text(errors="replace").split(_RECORD)[1:] for file in (answers, log))
        if status != 0:
            command = " ".join(commands[max(len(said) - 1, 0)])
            last = "\n".join(words for part in (said, complained) if (words := "".join(part[-1:]).strip()))
            raise EmbeddedError(
                f"{last or 'It said nothing.'}\n\nmanage.py {command} failed; all it said is in {log} "
                f"and {answers.name}."
            )
        return said

    def _serve(self) -> int:
        say("Starting web, workers and beat …")
        names = process_names(self.places.checkout / "Procfile")
        if self.mail_page is None:
            names.remove("mail")
        if self.stand_ins is None and "stand-ins" in names:
            names.remove("stand-ins")
        environment = self._environment() | ({"FORCE_COLOR": "1"} if colours() else {})
        honcho = subprocess.Popen(
            [sys.executable, "-m", "castcomm.embedded.procfile", *names],
            cwd=self.places.checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=process.dies_with_parent(),  # noqa: PLW1509
        )
        assert honcho.stdout is not None
        relay = threading.Thread(target=self._relay, args=(honcho.stdout,), daemon=True)
        relay.start()
        try:
            self._announce_when_ready(honcho, {name for name in names if name.startswith("worker")})
            status = self.watch.wait_for(honcho)
        finally:
            self._end(honcho, relay)
        complain("A process ended, so all were stopped; its last lines are above.")
        return status or 1

    def _relay(self, output: IO[bytes]) -> None:
        for line in output:
            text = line.decode(errors="replace").rstrip("\n")
            if match := _WORKER_READY.match(_ANSI.sub("", text)):
                self.ready_workers.add(match.group(1))
            say(text)

    def _announce_when_ready(self, honcho: subprocess.Popen[bytes], workers: set[str]) -> None:
        self._wait_until(self._web_is_ready, honcho, _READY_PATIENCE)
        if honcho.poll() is not None:
            return
        self._wait_until(lambda: workers <= self.ready_workers, honcho, _WORKERS_PATIENCE)
        if honcho.poll() is None:
            say(self._announcement(late=sorted(workers - self.ready_workers)))

    def _wait_until(
        self, condition: Callable[[], bool], honcho: subprocess.Popen[bytes], patience: float
    ) -> None:
        deadline = time.monotonic() + patience
        while honcho.poll() is None and not condition():
            if time.monotonic() > deadline:
                complain(f"Still not ready after {patience:.0f} s. {self.not_ready_because}".rstrip())
                return
            self.watch.pause(0.4)

    def _web_is_ready(self) -> bool:
        pages = [f"http://{ports.LOOPBACK}:{self.note.port}/health/ready"]
        if self.mail_page is not None:
            pages.append(f"http://{ports.LOOPBACK}:{self.mail_page}/api/messages?limit=0")
        for page in pages:
            try:
                with urlopen(page, timeout=3) as response:
                    response.read()
            except HTTPError as error:
                self.not_ready_because = error.read(2000).decode(errors="replace")
                return False
            except OSError:
                return False
        return True

    def _announcement(self, *, late: list[str]) -> str:
        site = f"http://localhost:{self.note.port}"
        rows = [("Site", f"{site}/"), ("Admin", f"{site}/admin/"), ("API documents", f"{site}/api/docs/")]
        if self.mail_page is not None:
            rows.append(("Mail", f"http://localhost:{self.mail_page}/"))
        if self.stand_ins is not None:
            rows.append(("Stand-ins", f"http://localhost:{self.stand_ins}/_control/state"))
        lines = [f"  {name:<14} {address}" for name, address in rows]
        lines += ["", *(f"  {line}" for line in self.sign_in.splitlines())] if self.sign_in else []
        if late:
            lines.append(f"  Not ready yet: {', '.join(late)}")
        rule = "─" * 72
        seconds = time.monotonic() - self.began
        return "\n".join(
            ["", rule, f"CastComm is ready ({seconds:.1f} s). Ctrl-C stops everything.", "", *lines, rule, ""]
        )

    def _end(self, honcho: subprocess.Popen[bytes], relay: threading.Thread) -> None:
        if self.watch.received is not None:
            say("\nStopping …")
        if honcho.poll() is None:
            honcho.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            honcho.wait(timeout=_HONCHO_PATIENCE)
        process.sweep(self.note.run_id)
        honcho.wait()
        relay.join(timeout=2)


def run_environment(added: dict[str, str]) -> dict[str, str]:
    """The caller's environment with ``added`` and the virtual environment first on PATH."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return dict(os.environ) | {"PATH": os.pathsep.join(folders)} | added


def _require_free(port: int) -> None:
    if ports.is_free(port):
        return
    by = ports.listener(port)
    other = ports.free_port(prefer=port + 1)
    raise EmbeddedError(
        f"Port {port} is taken{f' by {by}' if by else ''}. Stop that program, or choose another port:\n"
        f"  PORT={other} bin/run"
    )
