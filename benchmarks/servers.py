"""What benchmarks share: PostgreSQL and Redis (given, or CastComm's own), databases, child processes, the table."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # a benchmark is run by its path, and may use what CastComm has


@contextlib.contextmanager
def servers() -> Iterator[dict[str, str]]:
    """An environment with DATABASE_URL, REDIS_URL and secrets.

    CastComm's embedded servers are started, and stopped in the end, when none are given.
    """
    base = dict(os.environ)
    base.setdefault("SECRET_KEY", "benchmark-only-" + "x" * 40)
    base.setdefault("FIELD_ENCRYPTION_KEYS", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=")
    base.pop("PYTHONDONTWRITEBYTECODE", None)  # or every lazy import of a run compiles its module anew
    base["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
    if "DATABASE_URL" in base and "REDIS_URL" in base:
        yield base
        return
    with tempfile.TemporaryDirectory(prefix="castcomm-bench-") as folder:
        # The servers of a checkout of its own: a running bin/run is not disturbed.
        command = [sys.executable, "-m", "castcomm.embedded", "--checkout", folder]
        os.chmod(folder, 0o755)
        subprocess.run([*command, "up"], check=True, env=base, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            told = subprocess.run(
                [*command, "env"], check=True, env=base, cwd=ROOT, capture_output=True, text=True
            )
            for line in told.stdout.splitlines():
                name, _, value = line.removeprefix("export ").partition("=")
                base[name] = shlex.split(value)[0] if value else ""
            yield base
        finally:
            subprocess.run([*command, "down"], check=False, env=base, cwd=ROOT, stdout=subprocess.DEVNULL)


def with_database(environment: dict[str, str], name: str) -> dict[str, str]:
    """The environment with a fresh database called ``name``."""
    parts = urlsplit(environment["DATABASE_URL"])
    admin = urlunsplit(parts._replace(path="/postgres"))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    return {**environment, "DATABASE_URL": urlunsplit(parts._replace(path=f"/{name}"))}


def migrated(environment: dict[str, str], name: str) -> dict[str, str]:
    """The environment of CastComm's own processes, with a fresh and migrated database."""
    made = with_database(environment, name)
    made |= {"DJANGO_SETTINGS_MODULE": "castcomm.settings", "DEBUG": "false", "LOG_LEVEL": "WARNING"}
    made.setdefault("ALLOWED_HOSTS", "testserver,localhost")
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, check=True, env=made, cwd=ROOT)
    return made


@contextlib.contextmanager
def producer(command: list[str], environment: dict[str, str]) -> Iterator[tuple[float, float]]:
    """When the producer began and the seconds its calls took; it stays until the block ends."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        started, enqueue = process.stdout.readline().split()[-2:]
        yield float(started), float(enqueue)
    finally:
        process.communicate()
        if process.returncode:
            raise RuntimeError(f"the producer ended with {process.returncode}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def child(
    command: Sequence[str], environment: dict[str, str], *, log: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process in its own group, ended with it: first asked, then killed."""
    output = log.open("ab") if log else subprocess.DEVNULL
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=output, stderr=output, start_new_session=True, text=True
    )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[str], *, patience: float = 10) -> None:
    """Stop a process and its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)


def machine() -> str:
    """One line about the machine, for the table's head."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    gigabytes = int(memory[1]) // 2**20 if memory else 0
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else "unknown"
    return f"{os.cpu_count()} cores ({name}), {gigabytes} GiB, Python {sys.version.split()[0]}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(len(str(line[i])) for line in (head, *rows)) for i in range(len(head))]
    lines = [
        "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (head, *rows)
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
