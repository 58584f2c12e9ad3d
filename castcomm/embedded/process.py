"""Starting, recognising and ending processes that outlive the objects that describe them.

A process id alone says little: after a crash or a reboot it may belong to someone else. An ``Identity``
adds the start time and the boot, so that no foreign process is ever taken for ours or sent a signal.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Every process of a run carries this in its environment, so that what an unclean end left over is found.
MARKER = "CASTCOMM_RUN_ID"
_PR_SET_PDEATHSIG = 1
_START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the command's closing bracket; proc(5)


@dataclass(frozen=True)
class Account:
    """The system account a server runs under."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Identity:
    pid: int
    started: int
    boot: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Identity | None:
    """Who ``pid`` is now; None when no such process runs. A zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return None
    return Identity(pid=pid, started=int(fields[_START_TIME_FIELD]), boot=boot_id())


def is_alive(identity: Identity) -> bool:
    return identify(identity.pid) == identity


def spawn(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    account: Account | None,
    environment: Mapping[str, str],
    follow_parent: int | None,
    folder: Path = Path("/"),
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C in the terminal does not reach it.

    ``account`` None keeps the caller's. ``follow_parent`` is the signal the kernel sends to the server when
    the calling process dies, however it dies; None lets the server live on. Call from the main thread:
    the kernel means the thread that forks.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [os.fspath(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,
            # Runs after the change of account; that change would take the setting away again.
            preexec_fn=None if follow_parent is None else dies_with_parent(follow_parent),  # noqa: PLW1509
        )


def dies_with_parent(number: int = signal.SIGTERM) -> Callable[[], None]:
    """A ``preexec_fn``: the kernel sends ``number`` to the child when this process dies."""
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def end(identity: Identity, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
    """Send each signal in turn and wait up to its seconds; True once the process is gone."""
    for number, patience in steps:
        if not is_alive(identity):
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(identity.pid, number)
        if wait_until_gone([identity], patience):
            return True
    return not is_alive(identity)


def wait_until_gone(identities: Sequence[Identity], patience: float) -> bool:
    """Wait up to ``patience`` seconds for all to end."""
    deadline = time.monotonic() + patience
    while any(is_alive(identity) for identity in identities):
        if time.monotonic() > deadline:
            return False
        _collect(identities)
        time.sleep(0.02)
    return True


def _collect(identities: Sequence[Identity]) -> None:
    """Take the exit status of those that are our children, so that they leave the process table."""
    for identity in identities:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(identity.pid, os.WNOHANG)


def marked(run_id: str) -> list[Identity]:
    """Every other living process that carries ``run_id``, which is long and random, in its environment."""
    needle = f"{MARKER}={run_id}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if pid == os.getpid():
            continue
        try:
            carries = needle in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if carries and (identity := identify(pid)) is not None:
            found.append(identity)
    return found


def sweep(run_id: str, *, patience: float = 6.0) -> int:
    """End what a run left behind; the number of processes that were found."""
    left = marked(run_id)
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 2.0)):
        remaining = marked(run_id)
        for identity in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.kill(identity.pid, number)
        if wait_until_gone(remaining, wait) and not marked(run_id):
            break
    return len(left)
