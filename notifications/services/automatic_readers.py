"""Whether a machine opened or clicked: proxies that fetch pictures, scanners that follow links, bots.

Recognised by what they call themselves, as far as they do. Apple's Mail Privacy Protection fetches every picture,
read or not, and calls itself just "Mozilla/5.0"; what comes from Apple's own networks is no person either. (Its
proxies at other networks, and scanners that pass for browsers, are recognised by their haste: see
``opens_and_clicks``.)
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_NAMES = (
    ("Google's image proxy", r"googleimageproxy|ggpht\.com"),
    ("Yahoo's image proxy", r"yahoomailproxy|yahoocachesystem"),
    ("Apple's privacy proxy", r"^mozilla/5\.0$"),
    ("Barracuda", r"barracuda"),
    ("Proofpoint", r"proofpoint|urldefense"),
    ("Microsoft Safe Links", r"safelinks|microsoft office existence discovery|ms-office protocol discovery"),
    ("Mimecast", r"mimecast"),
    (
        "a mail gateway",
        r"symantec|messagelabs|cloudmark|fireeye|trend ?micro|sophos|forcepoint|cisco|ironport|mailguard",
    ),
    ("a link preview", r"facebookexternalhit|whatsapp|slack-imgproxy|skypeuripreview|linkpreview|preview"),
    # Cubot makes telephones.
    ("a bot", r"(?<!cu)bot\b|crawl|spider|slurp|scan|monitor|archiver|validator|headless|phantomjs"),
    (
        "a program",
        r"curl|wget|python|aiohttp|httpx|java/|okhttp|go-http-client|libwww|apache-httpclient|axios|node|ruby|perl|php"
        r"|powershell|winhttp",
    ),
)
_KINDS = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _NAMES]
_APPLE = tuple(ipaddress.ip_network(net) for net in ("17.0.0.0/8", "2620:149::/32", "2403:300::/32"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What a request tells of who sent it. Looked at, and not kept."""

    user_agent: str
    address: str
    is_prefetch: bool = False


def automatic_reader(reader: Reader) -> str:
    """What kind of machine it is, "" for what may be a person."""
    if reader.is_prefetch:
        return "a prefetch"
    if not reader.user_agent.strip():
        return "a program"
    for name, pattern in _KINDS:
        if pattern.search(reader.user_agent):
            return name
    return "Apple's privacy proxy" if _is_apple(reader.address) else ""


def _is_apple(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in _APPLE)
