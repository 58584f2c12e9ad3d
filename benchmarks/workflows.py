"""Workflow steps per second beside bare Celery tasks, and a tick among a million sleepers.

    python benchmarks/workflows.py [--executions 10000] [--sleepers 1000000]

CastComm: executions of the ready-made welcome sequence with zero delays (delay, mail, delay, condition, mail), with
their effects: requests, notifications, deliveries. The peer: as many Celery tasks as there are steps, each of which
writes one row. Two worker processes each, the same PostgreSQL and Redis, one after the other. Both find their work
waiting; time runs from the first row to the last. Under 1.5 times the peer, or with a tick of 50 ms or more, it ends
with 1. Servers are CastComm's embedded ones unless DATABASE_URL and REDIS_URL are set.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import psycopg
from servers import ROOT, child, machine, migrated, servers, table, with_database

PYTHON = sys.executable
STEPS = 5
PATIENCE = 300.0
ENGINE = [PYTHON, "-m", "workflow_parts.engine_run"]


def worker(app: str, *more: str) -> list[str]:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return [PYTHON, "-m", "celery", "-A", app, "worker", "-c", "2", "-l", "WARNING", *quiet, *more]


def castcomm(environment: dict[str, str], executions: int) -> float:
    """Steps per second."""
    subprocess.run([*ENGINE, "prepare", str(executions)], env=environment, cwd=ROOT, check=True)
    done = "SELECT count(*), max(finished_at), min(finished_at) FROM workflows_steprun WHERE status = 'done'"
    ring = "from castcomm.celery import app; app.send_task('workflows.tasks.tick', queue='workflows')"
    with child(worker("castcomm", "-Q", "workflows"), environment):
        for _ in range(2):  # as Beat does each second: one for each process
            subprocess.run([PYTHON, "-c", ring], env=environment, cwd=ROOT, check=True)
        return _rate(environment, done, executions * STEPS, ring)


def bare(environment: dict[str, str], count: int) -> float:
    """Tasks per second."""
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE bare_step (number int PRIMARY KEY, done_at timestamptz NOT NULL)")
    enqueue = f"from workflow_parts import bare_celery; bare_celery.enqueue({count})"
    subprocess.run([PYTHON, "-c", enqueue], env=environment, cwd=ROOT, check=True)
    with child(worker("workflow_parts.bare_celery"), environment):
        return _rate(environment, "SELECT count(*), max(done_at), min(done_at) FROM bare_step", count, "")


def _rate(environment: dict[str, str], question: str, count: int, ring: str) -> float:
    """Wait until ``count`` rows are there; rows per second between the first and the last."""
    until = time.monotonic() + PATIENCE
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        while time.monotonic() < until:
            row = connection.execute(question).fetchone()
            assert row is not None
            if row[0] == count:
                return count / (row[1] - row[2]).total_seconds()
            time.sleep(1)
            if ring:
                subprocess.run([PYTHON, "-c", ring], env=environment, cwd=ROOT, check=True)
    raise RuntimeError(f"only {row[0]} of {count} after {PATIENCE:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--executions", type=int, default=10_000)
    parser.add_argument("--sleepers", type=int, default=1_000_000, help="0 leaves the tick out")
    options = parser.parse_args()
    print(f"{machine()}; two worker processes each\n", flush=True)
    with servers() as environment:
        environment["REDIS_PREFIX"] = f"castcomm-bench-{time.time_ns()}"
        ours = migrated(environment, "bench_workflows")
        theirs = with_database(environment, "bench_bare")
        steps = options.executions * STEPS
        peer = bare(theirs, steps)
        rate = castcomm(ours, options.executions)
        rows = [
            ["Celery, a task that writes a row", f"{steps:,}", f"{peer:,.0f}", "1.0"],
            ["CastComm, the welcome sequence", f"{steps:,}", f"{rate:,.0f}", f"{rate / peer:.1f}"],
        ]
        print(table(["who", "steps", "steps/s", "ratio"], rows) + "\n", flush=True)
        ended = 0 if rate >= 1.5 * peer else 1
        if options.sleepers:
            command = [*ENGINE, "sleepers", str(options.sleepers), "100"]
            ended |= subprocess.run(command, env=ours, cwd=ROOT, check=False).returncode
    sys.exit(ended)


if __name__ == "__main__":
    main()
