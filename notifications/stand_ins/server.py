"""The server of all stand-ins: in a thread beside a test, or as a process of its own.

    with stand_in() as server:
        account = …server.url("sendgrid")…
        server.break_("sendgrid", mode="503", retry_after=2)

Every provider has its paths below ``/<provider>``. With ``port=0`` each provider also gets a port of its own, so that
``refuse`` is a connection that the kernel refuses; on one shared port it is one that ends unread.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import uvloop

from notifications.stand_ins.control import answer_control
from notifications.stand_ins.device import Device
from notifications.stand_ins.far_side import Answer, Call, FarSide, Refused, Taken
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.modes import SLOW_SECONDS, SPECIAL, STATUSES, Fault, Mode, fault
from notifications.stand_ins.protocol import Connection
from notifications.stand_ins.providers import far_sides
from notifications.stand_ins.webpush import WebPush

LOOPBACK = "127.0.0.1"
_BACKLOG = 1024
_PATIENCE = 10.0  # seconds for the thread to start, stop or do as told
_SHARED = ""

Listener = Callable[[FarSide, Accepted], None]


class StandIn:
    """All providers' far sides in one server.

    ``port``: 0 for any, with a port of its own for each provider; otherwise all share this one. ``keep`` is how many
    accepted messages each provider remembers. ``on_accepted`` is called on the server's thread and must return at once.
    """

    def __init__(self, port: int = 0, *, keep: int = 1000, on_accepted: Listener | None = None) -> None:
        self.sides: dict[str, FarSide] = far_sides(keep=keep)
        self._own_ports = port == 0
        self._ports = {_SHARED: port}
        self._faults: dict[str, Fault] = {}
        self._on_accepted = on_accepted
        self._servers: dict[str, asyncio.Server] = {}
        self._connections: dict[str, set[Connection]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return self._ports[_SHARED]

    def url(self, provider: str, rest: str = "") -> str:
        """The base URL that takes the place of the provider's own, without a slash at its end."""
        self._side(provider)
        port = self._ports.get(provider, self.port)
        return f"http://{LOOPBACK}:{port}/{provider}" + (f"/{rest}" if rest else "")

    def break_(
        self,
        provider: str,
        *,
        mode: str,
        retry_after: float | None = None,
        times: int | None = None,
        seconds: float = SLOW_SECONDS,
        takes: bool | None = None,
    ) -> None:
        """Let a provider misbehave from now on, or for ``times`` calls. Raises ValueError for what it cannot do.

        ``hang`` and ``reset`` accept the message all the same, because nobody could tell; ``takes`` says otherwise.
        """
        side = self._side(provider)
        chosen = fault(mode=mode, retry_after=retry_after, times=times, seconds=seconds, takes=takes)
        if chosen.mode in SPECIAL and chosen.mode not in side.modes:
            raise ValueError(f"{provider} has no mode {mode}")
        if chosen.mode is Mode.REFUSE and times is not None and self._own_ports:
            raise ValueError("times: a port that is closed cannot count")
        self.mend(provider)
        if chosen.mode is Mode.REFUSE and provider in self._servers:
            self._on_loop(self._stop_listening(provider))
        self._faults[provider] = chosen

    def mend(self, provider: str | None = None) -> None:
        """Let a provider (or all) work again. What hangs keeps hanging."""
        for key in [provider] if provider else list(self.sides):
            self._side(key)
            self._faults.pop(key, None)
            if key in self._ports and key not in self._servers and self._loop is not None:
                self._on_loop(self._listen(key))

    def mode(self, provider: str) -> str:
        current = self.fault_of(provider)
        return current.mode if current else Mode.OK

    def fault_of(self, provider: str) -> Fault | None:
        """What the provider suffers from now; None when it is well."""
        current = self._faults.get(provider)
        if current is None or current.mode is Mode.OK or (current.times is not None and current.times <= 0):
            return None
        return current

    def refuse_recipient(self, provider: str, to: str) -> None:
        """Let the provider refuse messages to this address, in its own words, as one that bounced or said stop."""
        self._side(provider).refused_recipients.add(to)

    def device(self, name: str = "") -> Device:
        """A browser that has just subscribed; ``accepted("webpush")`` shows what is sent to it decrypted."""
        device = Device(self.url("webpush", name or secrets.token_urlsafe(12)))
        self._push_service.devices[device.name] = device
        return device

    def lose_device(self, name: str, *, status: int = 410) -> None:
        """Let the push service answer 410 (or 404) for a device from now on."""
        self._push_service.gone[name] = status

    @property
    def _push_service(self) -> WebPush:
        side = self.sides[WebPush.key]
        assert isinstance(side, WebPush)
        return side

    def accepted(self, provider: str) -> list[Accepted]:
        """The last messages that the provider has taken, the oldest first."""
        return self._side(provider).ledger.kept()

    def accepted_count(self, provider: str) -> int:
        return self._side(provider).ledger.accepted

    def duplicates(self, provider: str) -> int:
        """How many messages it took for a delivery and recipient that it had taken before."""
        return self._side(provider).ledger.duplicates

    def calls(self, provider: str) -> int:
        """How many calls arrived whole, whatever became of them."""
        return self._side(provider).ledger.calls

    def wait_for(self, provider: str, *, calls: int = 0, accepted: int = 0, timeout: float = 10.0) -> bool:
        """Wait until so many have arrived in all; False after ``timeout`` seconds."""
        return self._side(provider).ledger.wait_for(calls=calls, accepted=accepted, timeout=timeout)

    def forget(self, provider: str | None = None) -> None:
        """Empty the ledger of a provider, or of all."""
        for key in [provider] if provider else list(self.sides):
            self._side(key).ledger.forget()

    def start(self) -> None:
        """Serve in a thread. Raises OSError when the port is taken."""
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-ins", daemon=True)
        self._thread.start()
        try:
            self._on_loop(self._listen_everywhere())
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """End all connections, the hanging ones too."""
        if self._loop is None or self._thread is None:
            return
        self._on_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()
        self._loop = self._thread = None

    async def _listen_everywhere(self) -> None:
        await self._listen(_SHARED)
        for key in self.sides if self._own_ports else ():
            self._ports[key] = 0
            await self._listen(key)

    async def _listen(self, key: str) -> None:
        known = self._connections.setdefault(key, set())

        def connection() -> Connection:
            return Connection(serve=self._serve, breaks_off=self._breaks_off, known=known)

        server = await asyncio.get_running_loop().create_server(
            connection, LOOPBACK, self._ports[key], backlog=_BACKLOG, reuse_address=True
        )
        self._servers[key] = server
        self._ports[key] = server.sockets[0].getsockname()[1]

    async def _stop_listening(self, key: str) -> None:
        server = self._servers.pop(key)
        server.close()
        for one in list(self._connections[key]):
            one.close()

    async def _close(self) -> None:
        for server in self._servers.values():
            server.close()
        for known in self._connections.values():
            for one in list(known):
                one.reset()
        self._servers.clear()

    def _on_loop(self, what: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        if threading.current_thread() is self._thread:  # the control API; it answers when this is done
            self._tasks.append(self._loop.create_task(what))
        else:
            asyncio.run_coroutine_threadsafe(what, self._loop).result(_PATIENCE)

    def _side(self, provider: str) -> FarSide:
        if provider not in self.sides:
            raise ValueError(f"there is no stand-in {provider!r}; there are {', '.join(self.sides)}")
        return self.sides[provider]

    def _breaks_off(self, url: str) -> bool:
        current = self._faults.get(url.split("/", 2)[1]) if url.startswith("/") else None
        return current is not None and current.mode is Mode.REFUSE and current.use()

    def _serve(self, call: Call, connection: Connection) -> None:
        key, _, rest = call.path.removeprefix("/").partition("/")
        if key == "_control":
            self._answer_control(rest, call, connection)
            return
        side = self.sides.get(key)
        if side is None:
            connection.respond(Answer(404, b"There is no stand-in here.\n", "text/plain"))
            return
        origin = f"http://{call.headers.get('host', '')}"
        inner = Call(call.method, rest.strip("/"), call.query, call.headers, call.content, origin)
        if side.is_beside(inner):
            connection.respond(self._take(side, inner))
            return
        side.ledger.count_call()
        current = self.fault_of(key)
        if current is None or not current.use():
            connection.respond(self._take(side, inner))
        else:
            self._misbehave(side, inner, current, connection)

    def _answer_control(self, path: str, call: Call, connection: Connection) -> None:
        answer = answer_control(self, path, call)
        tasks, self._tasks = self._tasks, []
        if tasks:
            done = asyncio.gather(*tasks, return_exceptions=True)
            done.add_done_callback(lambda _: connection.respond(answer))
        else:
            connection.respond(answer)

    def _misbehave(self, side: FarSide, call: Call, current: Fault, connection: Connection) -> None:
        if current.mode is Mode.SLOW:
            asyncio.get_running_loop().call_later(
                current.seconds, lambda: connection.respond(self._take(side, call))
            )
            return
        if current.takes:
            self._take(side, call)
        if current.mode is Mode.RESET:
            connection.reset()
        elif current.mode is not Mode.HANG:
            connection.respond(_with_retry_after(side.failure(STATUSES[current.mode]), current.retry_after))

    def _take(self, side: FarSide, call: Call) -> Answer:
        try:
            taken: Taken = side.take(call)
        except Refused as refusal:
            return refusal.answer
        side.ledger.record(taken.messages)
        if self._on_accepted is not None:
            for message in taken.messages:
                self._on_accepted(side, message)
        return taken.answer


def _with_retry_after(answer: Answer, seconds: float | None) -> Answer:
    if seconds is None:
        return answer
    header = ("Retry-After", f"{seconds:g}")
    return Answer(answer.status, answer.content, answer.content_type, (*answer.headers, header))


@contextmanager
def stand_in(port: int = 0, *, keep: int = 1000) -> Iterator[StandIn]:
    """A server in a thread of its own, gone afterwards."""
    server = StandIn(port, keep=keep)
    server.start()
    try:
        yield server
    finally:
        server.stop()
