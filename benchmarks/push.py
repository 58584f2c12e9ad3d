"""Web Push: how many pushes two processes make, CastComm's provider beside bare pywebpush.

    .venv/bin/python benchmarks/push.py [--seconds 4] [--rounds 3] [--profile]

Both sides push the same text to the same devices at the same push service on loopback, which reads requests, answers
201 and does nothing else. pywebpush is used at its best: the keys parsed once, the Authorization header signed once, a
requests.Session with connections that stay open. CastComm's side is what a worker's thread calls for each delivery,
``Provider.deliver``: endpoint check, headers, encryption, breaker, answer, result.
"""

from __future__ import annotations

import argparse
import cProfile
import multiprocessing
import os
import pstats
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PROCESSES = 2
DEVICES = 500
TITLE, BODY = (
    "Your order is on its way",
    "It arrives tomorrow between nine and noon. Tap to follow it on the map.",
)
ANSWER = b"HTTP/1.1 201 Created\r\nLocation: /m/1\r\nContent-Length: 0\r\n\r\n"
Push = Callable[[int], None]


def serve(ready: Any) -> None:
    """A push service that takes everything, in as little time as Python allows."""
    import asyncio

    import uvloop

    class Far(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport, self.data = transport, b""

        def data_received(self, data: bytes) -> None:
            self.data += data
            while (end := self.data.find(b"\r\n\r\n")) >= 0:
                head = self.data[:end].lower()
                at = head.find(b"content-length:") + 15
                whole = (
                    end + 4 + int(head[at : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None])
                )
                if len(self.data) < whole:
                    return
                self.data = self.data[whole:]
                self.transport.write(ANSWER)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Far, "127.0.0.1", 0)
        ready.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


def castcomm(port: int) -> Push:
    """What dispatch calls for each delivery to a person with one browser."""
    _django()
    from notifications.providers.base import Account, PushMessage, PushTarget
    from notifications.providers.push.vapid import make_keys
    from notifications.providers.push.webpush import WebPush

    credentials = {"vapid_private_key": make_keys()[1], "vapid_email": "ops@example.com"}
    provider = WebPush(
        Account(key="env:webpush", provider="webpush", channel="push", credentials=credentials)
    )
    targets = [
        PushTarget(subscription_id=str(number), kind="web", endpoint=endpoint, **keys)
        for number, (endpoint, keys) in enumerate(devices(port))
    ]

    def push(number: int) -> None:
        target = targets[number % DEVICES]
        made = PushMessage(
            delivery_id=str(uuid.UUID(int=number)),
            user_id="",
            title=TITLE,
            body=BODY,
            action_url="/orders/1",
            targets=(target,),
        )
        result = provider.deliver(made)
        assert result.outcome == "sent", result

    return push


def bare(port: int) -> Push:
    """pywebpush with everything kept that it lets one keep."""
    import requests
    from py_vapid import Vapid02
    from pywebpush import WebPusher

    vapid = Vapid02()
    vapid.generate_keys()
    claims = {
        "aud": f"http://127.0.0.1:{port}",
        "sub": "mailto:ops@example.com",
        "exp": int(time.time()) + 43_200,
    }
    authorization = vapid.sign(claims)
    session = requests.Session()
    subscriptions = [{"endpoint": endpoint, "keys": keys} for endpoint, keys in devices(port)]
    text = f'{{"title":"{TITLE}","body":"{BODY}","url":"/orders/1"}}'

    def push(number: int) -> None:
        pusher = WebPusher(subscriptions[number % DEVICES], requests_session=session)
        answer = pusher.send(text, dict(authorization), 86_400)
        assert answer.status_code == 201

    return push


def devices(port: int) -> list[tuple[str, dict[str, str]]]:
    """Endpoints with their keys."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from py_vapid.utils import b64urlencode

    found = []
    for number in range(DEVICES):
        public = ec.generate_private_key(ec.SECP256R1()).public_key()
        point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": b64urlencode(point), "auth": b64urlencode(os.urandom(16))}
        found.append((f"http://127.0.0.1:{port}/push/{number}", keys))
    return found


def _django() -> None:
    os.environ |= {"DEBUG": "1", "LOG_LEVEL": "WARNING", "DJANGO_SETTINGS_MODULE": "castcomm.settings"}
    os.environ.setdefault("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
    os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")
    import django

    django.setup()


def work(make: Callable[[int], Push], port: int, seconds: float, start: Any, done: Any) -> None:
    """One process: get ready, wait for the other, push until the time is up."""
    push = make(port)
    for number in range(DEVICES):  # each device once: its keys are known from then on
        push(number)
    start.wait()
    count, ends = 0, time.perf_counter() + seconds
    began = time.perf_counter()
    while time.perf_counter() < ends:
        push(count)
        count += 1
    done.put((count, time.perf_counter() - began))


def measure(make: Callable[[int], Push], port: int, seconds: float) -> float:
    """Pushes per second of all processes together."""
    context = multiprocessing.get_context("spawn")
    start, done = context.Barrier(PROCESSES), context.Queue()
    running = [
        context.Process(target=work, args=(make, port, seconds, start, done)) for _ in range(PROCESSES)
    ]
    for one in running:
        one.start()
    results = [done.get(timeout=120) for _ in running]
    for one in running:
        one.join()
    return sum(count / elapsed for count, elapsed in results)


def profile(port: int) -> None:
    """Where the time of 3,000 pushes goes."""
    push = castcomm(port)
    for number in range(DEVICES):
        push(number)
    profiler = cProfile.Profile()
    profiler.enable()
    for number in range(3000):
        push(number)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(22)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="show where CastComm's time goes, and end")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    server = context.Process(target=serve, args=(ready,), daemon=True)
    server.start()
    port = ready.get(timeout=30)
    try:
        if options.profile:
            profile(port)
            return
        rates: dict[str, list[float]] = {"castcomm": [], "pywebpush": []}
        for _ in range(options.rounds):
            for name, make in (("castcomm", castcomm), ("pywebpush", bare)):
                rates[name].append(measure(make, port, options.seconds))
        ours, theirs = (statistics.median(rates[name]) for name in ("castcomm", "pywebpush"))
        print(f"{'':<28}pushes/s, {PROCESSES} processes (median of {options.rounds})")
        print(f"{'CastComm':<28}{ours:>8,.0f}")
        print(f"{'pywebpush, keys kept':<28}{theirs:>8,.0f}")
        print(f"{'ratio':<28}{ours / theirs:>8.0%}")
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
