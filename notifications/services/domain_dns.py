"""Questions to the DNS, with the two answers that matter kept apart: "there is nothing" and "nobody answered"."""

from __future__ import annotations

import ipaddress

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from castcomm.common.errors import InvalidInput

TIMEOUT = 5.0  # seconds for one question


class Unanswered(Exception):
    """The DNS gave no answer about ``name``: no server was reached in time, or none knew."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The DNS did not answer about {name}.")
        self.name = name


class Dns:
    """Asks the machine's resolvers, or the server that is named (``address`` or ``address:port``)."""

    def __init__(self, nameserver: str = "", *, timeout: float = TIMEOUT) -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=not nameserver)
        except dns.resolver.NoResolverConfiguration as error:
            raise InvalidInput("This machine names no resolver; give one.", attr="nameserver") from error
        if nameserver:
            address, port = _endpoint(nameserver)
            self._resolver.nameservers, self._resolver.port = [address], port
        self._resolver.lifetime = timeout
        self._resolver.cache = dns.resolver.LRUCache()

    def txt(self, name: str) -> list[str]:
        """Each TXT record, its parts put together (RFC 7208, 3.3)."""
        found = [one for one in self._ask(name, dns.rdatatype.TXT) if isinstance(one, TXT)]
        return [b"".join(one.strings).decode("utf-8", "replace") for one in found]

    def mx(self, name: str) -> list[tuple[int, str]]:
        """Preference and host of each mail server; the null MX (RFC 7505) is the host ""."""
        found = [one for one in self._ask(name, dns.rdatatype.MX) if isinstance(one, MX)]
        return sorted((one.preference, _text(one.exchange)) for one in found)

    def cname(self, name: str) -> str:
        """What the name is an alias of, or ""."""
        found = [one for one in self._ask(name, dns.rdatatype.CNAME) if isinstance(one, CNAME)]
        return _text(found[0].target) if found else ""

    def has_address(self, name: str) -> bool:
        """Whether the name has an IPv4 or IPv6 address."""
        return bool(self._ask(name, dns.rdatatype.A) or self._ask(name, dns.rdatatype.AAAA))

    def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> list[object]:
        try:
            answer = self._resolver.resolve(f"{name}.", kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise Unanswered(name) from error
        return list(answer.rrset or [])


def check_domain_name(given: str, *, attr: str = "domain") -> str:
    """The domain in lower case and ASCII (IDNA), without a dot at the end; raises InvalidInput."""
    try:
        name = dns.name.from_text(given.strip().rstrip("."), idna_codec=dns.name.IDNA_2008_Practical)
        text = _text(name)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise InvalidInput(f"{given[:80]!r} is no domain.", attr=attr) from error
    if len(name.labels) < 3 or any(letter in text for letter in "@/:\\ "):
        raise InvalidInput(f"{given[:80]!r} is no domain, such as example.com.", attr=attr)
    return text


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _endpoint(given: str) -> tuple[str, int]:
    address, port = given, "53"
    if given.count(":") == 1 or given.startswith("["):
        address, _, port = given.rpartition(":")
    try:
        return str(ipaddress.ip_address(address.strip("[]"))), int(port)
    except ValueError as error:
        raise InvalidInput(
            "Write an address, or an address and a port: 9.9.9.9 or 127.0.0.1:5353.", attr="nameserver"
        ) from error
