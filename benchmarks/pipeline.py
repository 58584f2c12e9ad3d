"""From ``send_notification`` to accepted by an SMTP server, beside django-post-office and one Celery task per mail.

    python benchmarks/pipeline.py [--count 2000] [--large 20000] [--slow 1000] [--only PART-OF-A-NAME]

Everybody sends the same mail (8 KB of HTML and a text part, two variables) to the same sink on the same PostgreSQL and
Redis, with two worker processes. CastComm does routing, preferences, suppression and the ledger on top. Time runs
from the first call of the producer to the last mail accepted. Servers are CastComm's embedded ones unless DATABASE_URL
and REDIS_URL are set.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pipeline_peers.mail import FIRST
from servers import child, end, free_port, machine, producer, servers, table, with_database

HERE = Path(__file__).resolve().parent
PYTHON = sys.executable
PATIENCE = 60.0  # seconds for one run
WARM_UP = (
    600  # mails before the clock starts: enough for every worker process of every side to have sent some
)


class Sink:
    """The SMTP server, and what it has counted."""

    def __init__(self, delay_ms: int) -> None:
        self.port = free_port()
        command = [PYTHON, str(HERE / "pipeline_peers" / "sink.py"), str(self.port), str(delay_ms)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def ask(self, word: str = "") -> tuple[int, int, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        mails, distinct, last = self.process.stdout.readline().split()
        return int(mails), int(distinct), float(last)

    def wait_for(self, count: int, alive: list[subprocess.Popen[str]]) -> tuple[int, int, float]:
        """Wait until ``count`` different mails are there; raises when a worker ends or time runs out."""
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            mails, distinct, last = self.ask()
            if distinct >= count:
                return mails, distinct, last
            for process in alive:
                if process.poll() is not None:
                    raise RuntimeError(f"a worker ended with {process.returncode}")
            time.sleep(0.05)
        raise RuntimeError(f"only {self.ask()[1]} of {count} arrived in {PATIENCE:.0f} s")


@dataclass
class Run:
    who: str
    count: int
    delay: int
    enqueue: float  # seconds the producer took
    total: float  # seconds from the first call to the last mail accepted
    duplicates: int
    memory: int = 0  # MiB, the largest worker process at the end

    @property
    def rate(self) -> float:
        return self.count / self.total


@contextlib.contextmanager
def castcomm_workers(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    command = [
        PYTHON,
        "-m",
        "celery",
        "-A",
        "castcomm",
        "worker",
        "-c",
        "2",
        "-l",
        "WARNING",
        "-Q",
        "urgent,high,normal,low",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    with child(command, environment, log=log) as process:
        time.sleep(4)
        yield process


@contextlib.contextmanager
def celery_workers(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    command = [
        PYTHON,
        "-m",
        "celery",
        "-A",
        "pipeline_peers.celery_mail",
        "worker",
        "-c",
        "2",
        "-l",
        "WARNING",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    with child(command, environment, log=log) as process:
        time.sleep(4)
        yield process


POST_OFFICE_LOOP = """
import time, django; django.setup()
from django.core.management import call_command
while True:
    call_command("send_queued_mail", processes=2, log_level=0)
    time.sleep(0.05)
"""


@contextlib.contextmanager
def post_office_workers(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**environment, "DJANGO_SETTINGS_MODULE": "pipeline_peers.peer_settings"}
    with child([PYTHON, "-c", POST_OFFICE_LOOP], environment, log=log) as process:
        time.sleep(2)
        yield process


PRODUCERS = {
    "CastComm, a call each": ("pipeline_peers.castcomm_run", "single", castcomm_workers),
    "CastComm, one call": ("pipeline_peers.castcomm_run", "bulk", castcomm_workers),
    "django-post-office": ("pipeline_peers.post_office_run", "enqueue", post_office_workers),
    "Celery, a task each": ("pipeline_peers.celery_run", "enqueue", celery_workers),
}


def measure(who: str, count: int, delay: int, environment: dict[str, str], log: Path) -> Run:
    module, verb, workers = PRODUCERS[who]
    sink = Sink(delay)
    try:
        environment = {**environment, "SMTP_PORT": str(sink.port), "SMTP_HOST": "127.0.0.1"}
        with workers(environment, log) as worker:
            command = [PYTHON, "-m", module, verb]
            subprocess.run(
                [*command, str(WARM_UP)],
                env=environment,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            sink.wait_for(WARM_UP + FIRST, [worker])
            analyze(environment)
            sink.ask("reset")
            with producer([*command, str(count)], environment) as (started, enqueue):
                mails, distinct, last = sink.wait_for(count + FIRST, [worker])
            return Run(
                who, count, delay, enqueue, last - started, mails - distinct, largest_child(worker.pid)
            )
    finally:
        end(sink.process)


def analyze(environment: dict[str, str]) -> None:
    """What autovacuum does within a minute: until then plans are those for empty tables."""
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("ANALYZE")


def largest_child(pid: int) -> int:
    """Resident memory in MiB of the largest process below ``pid``."""
    told = subprocess.run(["ps", "-o", "rss=", "-g", str(pid)], capture_output=True, text=True, check=False)
    return max((int(word) for word in told.stdout.split()), default=0) // 1024


def prepare(environment: dict[str, str], people: int) -> tuple[dict[str, str], dict[str, str]]:
    ours = with_database(environment, "bench_castcomm")
    theirs = with_database(environment, "bench_peers")
    manage = [PYTHON, "manage.py", "migrate", "-v", "0"]
    subprocess.run(manage, env={**ours, "SMTP_PORT": "1"}, check=True, cwd=HERE.parent)
    peers = {**theirs, "DJANGO_SETTINGS_MODULE": "pipeline_peers.peer_settings", "SMTP_PORT": "1"}
    subprocess.run([PYTHON, "-m", "django", "migrate", "-v", "0"], env=peers, check=True)
    command = [PYTHON, "-m", "pipeline_peers.castcomm_run", "prepare", str(people)]
    subprocess.run(command, env={**ours, "SMTP_PORT": "1"}, check=True)
    return ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--large", type=int, default=20000, help="0 leaves the large runs out")
    parser.add_argument(
        "--slow", type=int, default=1000, help="mails against the sink that takes 20 ms; 0 leaves it out"
    )
    parser.add_argument("--only", default="", help="part of a name, to measure only those")
    options = parser.parse_args()
    names = [name for name in PRODUCERS if options.only.lower() in name.lower()]
    print(f"{machine()}; two worker processes each\n", flush=True)
    with servers() as environment, tempfile.TemporaryDirectory() as folder:
        environment["REDIS_PREFIX"] = f"castcomm-bench-{time.time_ns()}"
        ours, theirs = prepare(environment, max(options.count, options.large, 2000))
        runs = []
        plan = [(options.count, 0), (options.slow, 20), (options.large, 0)]
        for count, delay in plan:
            for name in names if count else []:
                where = ours if name.startswith("CastComm") else theirs
                runs.append(measure(name, count, delay, where, Path(folder) / "log"))
                last = runs[-1]
                print(
                    f"  {name}: {count} mails, sink {delay} ms: {last.total:.2f} s, {last.rate:,.0f}/s",
                    flush=True,
                )
        print("\n" + table(*pipeline_rows(runs)))
        if not options.only:
            print("\n" + table(["producer alone", "calls/s", "ratio"], send_rate_for(ours, theirs)))


def send_rate_for(ours: dict[str, str], theirs: dict[str, str]) -> list[list[str]]:
    merged = []
    rates = {}
    for who, environment in (("CastComm, a call each", ours), ("django-post-office", theirs)):
        module, verb, _ = PRODUCERS[who]
        quiet = {**environment, "SMTP_PORT": "1"}
        seconds = []
        for _ in range(3):
            told = subprocess.run(
                [PYTHON, "-m", module, verb, "1000"],
                env=quiet,
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            seconds.append(float(told.stdout.split()[-1]))
        rates[who] = 1000 / sorted(seconds)[1]
    base = rates["django-post-office"]
    for who, rate in rates.items():
        merged.append([who, f"{rate:,.0f}", f"{rate / base:.1f}×"])
    return merged


def pipeline_rows(runs: list[Run]) -> tuple[list[str], list[list[str]]]:
    head = [
        "who",
        "mails",
        "sink",
        "enqueue s",
        "total s",
        "mails/s",
        "× post-office",
        "× Celery",
        "doubles",
        "worker MiB",
    ]
    rows = []
    for run in runs:
        peers = {other.who: other for other in runs if (other.count, other.delay) == (run.count, run.delay)}
        ratios = [
            f"{run.rate / peers[name].rate:.1f}" if name in peers else ""
            for name in ("django-post-office", "Celery, a task each")
        ]
        rows.append(
            [
                run.who,
                f"{run.count:,}",
                f"{run.delay} ms",
                f"{run.enqueue:.2f}",
                f"{run.total:.2f}",
                f"{run.rate:,.0f}",
                *ratios,
                str(run.duplicates),
                str(run.memory),
            ]
        )
    return head, rows


if __name__ == "__main__":
    main()
