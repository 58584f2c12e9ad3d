"""Which addresses are on the public internet, for calls to hosts that users choose."""

from __future__ import annotations

import ipaddress
import socket

from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES

# Ways to write an IPv4 address inside IPv6, and old ranges, that the ipaddress module takes for global.
_FORBIDDEN = (*EXTRA_BLOCKED_NET_RANGES, *map(ipaddress.ip_network, ("::/96", "fec0::/10")))


class ForbiddenAddress(ValueError):
    """The host is, or its name leads to, an address that is not on the public internet."""


def public_addresses(
    host: str, port: int, *, allow_loopback: bool
) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    """What ``host`` (a name or an address without brackets) resolves to, in the order in which to try it.

    One forbidden address among them is enough to refuse all. Raises ForbiddenAddress, or OSError when the name leads
    nowhere.
    """
    found: list[tuple[socket.AddressFamily, tuple[str, int]]] = []
    for family, _, _, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not is_public(str(place[0]), allow_loopback=allow_loopback):
            raise ForbiddenAddress(f"{host} leads to {place[0]}.")
        found.append((family, (str(place[0]), int(place[1]))))
    if not found:
        raise OSError(f"{host} has no address.")
    return found


def is_public(text: str, *, allow_loopback: bool) -> bool:
    """Whether an IPv4 or IPv6 address is public; one mapped into IPv6 (RFC 4291, 2.5.5.2) counts as what it is."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return allow_loopback
    if not address.is_global or address.is_multicast:
        return False
    return not any(address.version == net.version and address in net for net in _FORBIDDEN)
