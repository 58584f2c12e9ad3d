"""Mail through HTTP providers: how much at an answer after 200 ms, what a broken account costs, and how much memory.

    python benchmarks/providers.py [--count 4000] [--flat 50000] [--peer 60]

From ``send_notification`` (one call for all) to the last mail accepted by a stand-in that speaks the provider's HTTP
API, with two worker processes. Beside it, in the same run, one Celery task per mail that sends it with Anymail.
Servers are CastComm's embedded ones unless DATABASE_URL and REDIS_URL are set.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import castcomm_workers, largest_child, prepare
from pipeline_peers.mail import FIRST
from servers import child, free_port, machine, producer, servers, table

from notifications.stand_ins.remote import RemoteStandIn, StandInAway

HERE = Path(__file__).resolve().parent
PYTHON = sys.executable
PATIENCE = 240.0  # seconds for one run
WARM_UP = 600


@contextlib.contextmanager
def stand_ins(environment: dict[str, str], log: Path) -> Iterator[RemoteStandIn]:
    """All providers, in a process of their own."""
    port = free_port()
    command = [PYTHON, "manage.py", "stand_ins", "--port", str(port)]
    # They run in development only; everything else of a benchmark runs as in production.
    with child(command, {**environment, "DEBUG": "true"}, log=log):
        made = RemoteStandIn(f"http://127.0.0.1:{port}")
        ends = time.monotonic() + 15
        while True:
            try:
                made.state()
                break
            except StandInAway:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.1)
        yield made


@dataclass
class Run:
    what: str
    count: int
    seconds: float
    duplicates: int
    memory: list[int] = field(default_factory=list)  # MiB of the largest worker process, over the run

    @property
    def rate(self) -> float:
        return self.count / self.seconds


def measure(
    what: str,
    count: int,
    environment: dict[str, str],
    far: RemoteStandIn,
    provider: str,
    worker: subprocess.Popen[str],
    module: str = "pipeline_peers.castcomm_run",
    verb: str = "bulk",
) -> Run:
    far.forget()
    command = [PYTHON, "-m", module, verb, str(count)]
    with producer(command, environment) as (started, _):
        memory = []
        ends = time.monotonic() + PATIENCE
        while (done := far.state()[provider]["accepted"]) < count + FIRST:
            if time.monotonic() > ends:
                raise RuntimeError(f"only {done} of {count} arrived in {PATIENCE:.0f} s")
            memory.append(largest_child(worker.pid))
            time.sleep(0.02 if count < 10_000 else 0.25)
        seconds = time.monotonic() - started
    memory.append(largest_child(worker.pid))
    return Run(what, count, seconds, far.state()[provider]["duplicates"], memory)


def accounts(environment: dict[str, str], given: list[dict[str, Any]]) -> None:
    command = [PYTHON, "-m", "pipeline_peers.castcomm_run", "accounts", json.dumps(given)]
    subprocess.run(command, env=environment, check=True)
    time.sleep(2.5)  # workers trust the accounts they know for two seconds


def account(far: RemoteStandIn, provider: str, position: int) -> dict[str, Any]:
    return {
        "provider": provider,
        "position": position,
        "credentials": {"api_key": "benchmark", "api_url": far.url(provider)},
    }


@contextlib.contextmanager
def anymail_workers(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    command = [
        PYTHON,
        "-m",
        "celery",
        "-A",
        "pipeline_peers.anymail_mail",
        "worker",
        "-c",
        "2",
        "-l",
        "WARNING",
    ]
    with child([*command, "--without-gossip", "--without-mingle"], environment, log=log) as process:
        time.sleep(4)
        yield process


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--flat", type=int, default=50_000, help="mails of the memory run; 0 leaves it out")
    parser.add_argument(
        "--peer", type=int, default=60, help="mails of the Celery peer, which needs 0.2 s for each"
    )
    options = parser.parse_args()
    print(f"{machine()}; two worker processes each\n", flush=True)
    with servers() as environment, tempfile.TemporaryDirectory() as folder:
        environment["REDIS_PREFIX"] = f"castcomm-bench-{time.time_ns()}"
        log = Path(folder) / "log"
        ours, theirs = prepare(environment, max(options.count, options.flat, 2000))
        ours, theirs = ({**one, "SMTP_PORT": "1", "PROVIDER_STAND_INS": "true"} for one in (ours, theirs))
        with stand_ins(ours, log) as far:
            runs = [*our_runs(options, ours, far, log)]
            if options.peer:
                runs.append(peer_run(options.peer, theirs, far, log))
        show(runs)


def our_runs(
    options: argparse.Namespace, environment: dict[str, str], far: RemoteStandIn, log: Path
) -> Iterator[Run]:
    with castcomm_workers(environment, log) as worker:
        accounts(environment, [account(far, "postmark", 1)])
        measure("warm-up", WARM_UP, environment, far, "postmark", worker)
        far.break_("postmark", mode="slow")
        yield told(measure("answers after 200 ms", options.count, environment, far, "postmark", worker))
        far.mend("postmark")
        for number in (1, 2):
            run = measure(
                f"one healthy account, {number}", options.count, environment, far, "postmark", worker
            )
            yield told(run)
            far.break_("sendgrid", mode="503")
            accounts(environment, [account(far, "sendgrid", 1), account(far, "postmark", 2)])
            what = f"a broken account before it, {number}"
            yield told(measure(what, options.count, environment, far, "postmark", worker))
            accounts(environment, [account(far, "postmark", 1)])
        if options.flat:
            yield told(measure("memory", options.flat, environment, far, "postmark", worker))


def peer_run(count: int, environment: dict[str, str], far: RemoteStandIn, log: Path) -> Run:
    environment = {**environment, "POSTMARK_API_URL": far.url("postmark") + "/"}
    far.break_("postmark", mode="slow")
    with anymail_workers(environment, log) as worker:
        module = "pipeline_peers.anymail_run"
        what = "Celery and Anymail, after 200 ms"
        return told(measure(what, count, environment, far, "postmark", worker, module, "enqueue"))


def told(run: Run) -> Run:
    print(f"  {run.what}: {run.count} mails in {run.seconds:.2f} s, {run.rate:,.0f}/s", flush=True)
    return run


def show(runs: list[Run]) -> None:
    rows = []
    for run in runs:
        tenth = max(len(run.memory) // 10, 1)
        early, late = max(run.memory[tenth : 2 * tenth] or run.memory), run.memory[-1]
        rows.append(
            [
                run.what,
                f"{run.count:,}",
                f"{run.seconds:.2f}",
                f"{run.rate:,.0f}",
                str(run.duplicates),
                f"{early} → {late}",
            ]
        )
    print("\n" + table(["what", "mails", "seconds", "mails/s", "doubles", "worker MiB early → end"], rows))
    healthy = [run.rate for run in runs if run.what.startswith("one healthy")]
    broken = [run.rate for run in runs if run.what.startswith("a broken")]
    if healthy and broken:
        print(f"\nthrough the healthy account with a broken one before it: {sum(broken) / sum(healthy):.0%}")
    slow = {run.what: run.rate for run in runs if "200 ms" in run.what}
    if len(slow) == 2:
        ours, theirs = slow.values()
        print(f"at 200 ms: {ours:,.0f}/s, {ours / theirs:.0f} times one Celery task per mail")


if __name__ == "__main__":
    main()
