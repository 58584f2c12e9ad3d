"""An SMTP server that accepts everything and counts: lean enough not to be what is measured.

    python sink.py PORT DELAY_MS

Offers PIPELINING. With a delay, each mail is answered that much later, without holding up the others. Writes one line
``count distinct last`` per line read on stdin (mails, distinct delivery ids, monotonic seconds of the last
mail); a line ``reset`` starts anew.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time

import uvloop

_MARK = re.compile(rb"^X-Benchmark-Id: *(\S+)", re.MULTILINE | re.IGNORECASE)
_OUR_MARK = re.compile(rb"^X-CastComm-Delivery: *(\S+)", re.MULTILINE | re.IGNORECASE)


class Counter:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.mails = 0
        self.last = 0.0
        self.ids: set[bytes] = set()

    def add(self, content: bytes) -> None:
        self.mails += 1
        self.last = time.monotonic()
        found = _OUR_MARK.search(content) or _MARK.search(content)
        self.ids.add(found[1] if found else b"%d" % self.mails)


class Session(asyncio.Protocol):
    def __init__(self, counter: Counter, delay: float) -> None:
        self.counter, self.delay = counter, delay
        self.buffer = bytearray()
        self.in_data = False
        self.is_busy = False  # answers come in the order of the commands, also when one takes its time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        if self.is_busy:
            return False
        if self.in_data:
            end = self.buffer.find(b"\r\n.\r\n")
            if end < 0:
                return False
            content = bytes(self.buffer[:end])
            del self.buffer[: end + 5]
            self.in_data = False
            if self.delay:
                self.is_busy = True
                asyncio.get_running_loop().call_later(self.delay, self._accept, content)
            else:
                self._accept(content)
            return True
        line_end = self.buffer.find(b"\r\n")
        if line_end < 0:
            return False
        line = bytes(self.buffer[:line_end])
        del self.buffer[: line_end + 2]
        self._command(line[:4].upper())
        return True

    def _accept(self, content: bytes) -> None:
        self.counter.add(content)
        self.transport.write(b"250 accepted\r\n")
        if self.is_busy:
            self.is_busy = False
            self.data_received(b"")

    def _command(self, verb: bytes) -> None:
        if verb == b"DATA":
            self.in_data = True
            self.transport.write(b"354 go\r\n")
        elif verb == b"EHLO":
            self.transport.write(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 ok\r\n")


async def main() -> None:
    port, delay = int(sys.argv[1]), float(sys.argv[2]) / 1000
    counter = Counter()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(counter, delay), "127.0.0.1", port)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line.strip() == b"reset":
            counter.reset()
        sys.stdout.write(f"{counter.mails} {len(counter.ids)} {counter.last}\n")
        sys.stdout.flush()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
