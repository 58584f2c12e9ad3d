"""A DNS server on loopback that answers from a dictionary, over UDP, in the real wire format."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[tuple[str, str], Sequence[str]]


class DnsServer:
    """``zone`` maps (name, type) to records as they stand in a zone file. Names in ``silent`` get no answer,
    names in ``broken`` get SERVFAIL. ``asked`` counts questions."""

    def __init__(self, zone: Zone, *, silent: frozenset[str], broken: frozenset[str]) -> None:
        self._zone, self._silent, self._broken = zone, silent, broken
        self._names = {name for name, _ in zone}
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4096)
            if self._stopped.is_set():
                return
            answer = self._answer(dns.message.from_wire(data))
            if answer is not None:
                self._socket.sendto(answer.to_wire(), peer)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        self.asked += 1
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), question.rdtype
        if name in self._silent:
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name in self._broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        # An alias is answered with what it stands for, as resolvers do.
        for _ in range(5):
            alias = self._zone.get((name, "CNAME"))
            if alias is None or kind == dns.rdatatype.CNAME:
                break
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", *alias))
            name = alias[0].rstrip(".")
        records = self._zone.get((name, dns.rdatatype.to_text(kind)))
        if records:
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", kind, *records))
        elif name not in self._names:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


@contextlib.contextmanager
def dns_server(zone: Zone, *, silent: Sequence[str] = (), broken: Sequence[str] = ()) -> Iterator[DnsServer]:
    server = DnsServer(zone, silent=frozenset(silent), broken=frozenset(broken))
    try:
        yield server
    finally:
        server.stop()
