"""Which addresses are on the public internet, for calls to hosts that users choose."""

from __future__ import annotations

import ipaddress
import socket

from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES

from castcomm.common import look_ups

# All that is given out for hosts on the internet (RFC 4291, 2.4, and IANA's registry); what writes an IPv4 address
# inside IPv6, and what is left of old ranges, lies outside of it.
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
# Written down, although the ipaddress module knows most of them: what it takes for global differs with its version.
_FORBIDDEN = (
    *EXTRA_BLOCKED_NET_RANGES,
    *map(
        ipaddress.ip_network,
        (
            "100.64.0.0/10",  # carriers' own (RFC 6598), where some clouds keep their metadata
            "168.63.129.16/32",  # Azure's service for the machines it runs, inside of every one's network
            "192.0.0.0/24",  # protocols' own (RFC 6890)
            "198.18.0.0/15",  # benchmarks (RFC 2544)
            "2001::/23",  # protocols' own, among them Teredo (RFC 4380)
            "2001:db8::/32",  # examples (RFC 3849)
            "2002::/16",  # 6to4 (RFC 3056)
        ),
    ),
)


class ForbiddenAddress(ValueError):
    """The host is, or its name leads to, an address that is not on the public internet."""


def public_addresses(
    host: str, port: int, *, allow_loopback: bool, seconds: float = look_ups.SECONDS
) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    """What ``host`` (a name or an address without brackets) resolves to, in the order in which to try it.

    One forbidden address among them is enough to refuse all. Raises ForbiddenAddress, TimeoutError when the name is not
    looked up within ``seconds``, or OSError when it leads nowhere.
    """
    found: list[tuple[socket.AddressFamily, tuple[str, int]]] = []
    for family, _, _, _, place in look_ups.look_up(host, port, seconds=seconds):
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
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_IPV6:
        return False
    return not any(address.version == net.version and address in net for net in _FORBIDDEN)
