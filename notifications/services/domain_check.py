"""Whether a domain is set up so that mail from it arrives: SPF, DKIM, DMARC, the way back for bounces, BIMI.

RFC 7208, RFC 6376 with RFC 8301 and RFC 8463, RFC 7489, RFC 7505. Only the DNS is asked, and nothing is changed.
"""

from __future__ import annotations

import base64
import binascii
import enum
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from notifications.services.domain_dns import Dns, Unanswered
from notifications.services.domain_spf import MAX_LOOKUPS, Spf, read_spf


class State(enum.StrEnum):
    OK = "ok"
    ADVICE = "advice"
    MISSING = "missing"
    WRONG = "wrong"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One record: where it stands (``name``), what is there, and what to put. ``needed``: without it mail suffers."""

    record: str
    name: str
    state: State
    needed: bool
    found: str = ""
    advice: str = ""

    @property
    def fails(self) -> bool:
        return self.needed and self.state in (State.MISSING, State.WRONG)


@dataclass(frozen=True, slots=True)
class MailProvider:
    """What a provider asks of a domain. ``bounces`` is the label of its return path below the domain, when it has
    its own there; then its SPF stands there. ``selectors`` are the usual ones; none when each account has its own."""

    include: str = ""
    selectors: tuple[str, ...] = ()
    bounces: str = ""


PROVIDERS = {
    "sendgrid": MailProvider("sendgrid.net", ("s1", "s2")),
    "mailgun": MailProvider("mailgun.org", ("smtp", "mailo", "k1", "mx", "pic", "krs")),
    "resend": MailProvider("amazonses.com", ("resend",), "send"),
    "amazon_ses": MailProvider("amazonses.com"),
    "postmark": MailProvider("spf.mtasv.net", (), "pm-bounces"),
    "smtp": MailProvider(),
}


def check_mail_domain(
    dns: Dns,
    domain: str,
    *,
    selectors: Sequence[str] = (),
    providers: Iterable[str] = (),
    return_path: str = "",
) -> list[Finding]:
    """What stands in the DNS for mail from ``domain`` through these providers (keys of ``email_providers``).

    ``selectors`` are DKIM selectors that must be there; ``return_path`` is the domain that bounces go to, if it is
    not the domain itself.
    """
    known = {key: PROVIDERS.get(key, MailProvider()) for key in providers}
    checks: list[tuple[str, str, bool, Callable[[], Iterator[Finding]]]] = [
        ("SPF", domain, True, lambda: _spf(dns, domain, known)),
        ("SPF", domain, False, lambda: _spf_of_bounces(dns, domain, known)),
        ("DKIM", f"_domainkey.{domain}", True, lambda: _dkim(dns, domain, selectors, known)),
        ("DMARC", f"_dmarc.{domain}", True, lambda: _dmarc(dns, domain, known)),
        ("MX", return_path or domain, True, lambda: _mx(dns, domain, return_path, known)),
        ("BIMI", f"default._bimi.{domain}", False, lambda: _bimi(dns, domain)),
    ]
    found: list[Finding] = []
    for record, name, needed, check in checks:
        try:
            found += check()
        except Unanswered as error:
            found.append(
                Finding(record=record, name=name, state=State.UNANSWERED, needed=needed, advice=str(error))
            )
    return found


def _spf(dns: Dns, domain: str, providers: dict[str, MailProvider]) -> Iterator[Finding]:
    spf = read_spf(dns, domain)
    wanted = sorted({one.include for one in providers.values() if one.include and not one.bounces})
    example = " ".join(["v=spf1", *(f"include:{name}" for name in wanted), "~all"])
    finding = functools.partial(Finding, record="SPF", name=domain, needed=True)
    if not spf.records:
        yield finding(state=State.MISSING, advice=f"Put a TXT record: {example}")
        return
    if len(spf.records) > 1:
        advice = "There must be one; receivers take no notice of several. Put what they say into one record."
        yield finding(state=State.WRONG, found=" | ".join(spf.records), advice=advice)
        return
    state, advice = _judged(spf, wanted)
    said = f"{spf.records[0]} ({spf.lookups} of {MAX_LOOKUPS} lookups)"
    yield finding(state=state, found=said, advice=advice)


def _judged(spf: Spf, wanted: Sequence[str]) -> tuple[State, str]:
    problems = list(spf.problems)
    problems += [f"include:{name} is not in it" for name in wanted if name not in spf.includes]
    if spf.everyone == "+":
        problems.append("+all lets everyone send in your name; end it with ~all")
    if problems:
        return State.WRONG, _sentence(problems)
    hints = []
    if spf.everyone in ("", "?"):
        hints.append("it says nothing about other senders; end it with ~all")
    if spf.uses_ptr:
        hints.append("ptr is slow and should not be used")
    return (State.ADVICE, _sentence(hints)) if hints else (State.OK, "")


def _sentence(parts: Sequence[str]) -> str:
    return f"{'; '.join(parts)}."


def _spf_of_bounces(dns: Dns, domain: str, providers: dict[str, MailProvider]) -> Iterator[Finding]:
    """The return paths that providers have below the domain: without them SPF passes, but not for this domain."""
    for key, one in providers.items():
        if not one.bounces:
            continue
        name = f"{one.bounces}.{domain}"
        spf = read_spf(dns, name)
        alias = dns.cname(name)
        # Behind an alias it is the provider's own record.
        there = one.include in spf.includes or (alias and spf.records)
        advice = f"Put what {key} shows for {name}: an alias, or v=spf1 include:{one.include} ~all"
        yield Finding(
            record="SPF",
            name=name,
            needed=False,
            state=State.OK if there else State.WRONG if spf.records else State.MISSING,
            found=alias or " | ".join(spf.records),
            advice="" if there else advice,
        )


def _dkim(
    dns: Dns, domain: str, selectors: Sequence[str], providers: dict[str, MailProvider]
) -> Iterator[Finding]:
    for selector in selectors:
        yield _dkim_key(dns, domain, selector)
    for key, one in providers.items():
        usual = [selector for selector in one.selectors if selector not in selectors]
        found = [made for selector in usual if (made := _dkim_key(dns, domain, selector)).found]
        yield from found
        if found or selectors:
            continue
        name = f"<selector>._domainkey.{domain}"
        if usual:
            advice = f"Put what {key} shows; nothing is at {', '.join(usual)}. Another one: --selector"
            yield Finding(record="DKIM", name=name, needed=True, state=State.MISSING, advice=advice)
        else:
            advice = f"{key} has selectors of its own per account: name one with --selector"
            yield Finding(record="DKIM", name=name, needed=False, state=State.ADVICE, advice=advice)


def _dkim_key(dns: Dns, domain: str, selector: str) -> Finding:
    name = f"{selector}._domainkey.{domain}"
    records = [text for text in dns.txt(name) if "p=" in text]
    state, advice = State.OK, ""
    if not records:
        state, advice = State.MISSING, "Put the record that the provider shows for this selector."
    elif len(records) > 1:
        state, advice = State.WRONG, "There must be one record; which of several counts is not defined."
    else:
        state, advice = _judged_key(_tags(records[0]))
    found = f"{records[0][:60]}…" if records and len(records[0]) > 60 else "".join(records[:1])
    return Finding(record="DKIM", name=name, needed=True, state=state, found=found, advice=advice)


def _judged_key(tags: dict[str, str]) -> tuple[State, str]:
    encoded = "".join(tags.get("p", "").split())
    if not encoded:
        return State.WRONG, "The key is revoked (p= is empty)."
    try:
        raw = base64.b64decode(encoded, validate=True)
        key = (
            Ed25519PublicKey.from_public_bytes(raw)
            if tags.get("k", "rsa").lower() == "ed25519"
            else load_der_public_key(raw)
        )
    except (binascii.Error, ValueError):
        return State.WRONG, "The key cannot be read: copy it again, whole."
    if tags.get("v", "DKIM1") != "DKIM1":
        return State.WRONG, "It must begin with v=DKIM1."
    if isinstance(key, RSAPublicKey) and key.key_size < 1024:
        return State.WRONG, f"A key of {key.key_size} bits counts for nothing; use 2048."
    if "y" in tags.get("t", "").split(":"):
        return State.ADVICE, "t=y says that you are only trying; take it away."
    if isinstance(key, RSAPublicKey) and key.key_size < 2048:
        return State.ADVICE, f"It has {key.key_size} bits; 2048 are better."
    return State.OK, ""


def _tags(record: str) -> dict[str, str]:
    """Names and values of a tag list (RFC 6376, 3.2)."""
    pairs = (part.partition("=") for part in record.split(";") if "=" in part)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _dmarc(dns: Dns, domain: str, providers: dict[str, MailProvider]) -> Iterator[Finding]:
    labels = domain.split(".")
    for at in range(max(1, len(labels) - 1)):
        owner = ".".join(labels[at:])
        records = [
            text for text in dns.txt(f"_dmarc.{owner}") if text.replace(" ", "").startswith("v=DMARC1")
        ]
        if not records:
            continue
        finding = functools.partial(
            Finding, record="DMARC", name=f"_dmarc.{owner}", needed=True, found=" | ".join(records)
        )
        if len(records) > 1:
            yield finding(state=State.WRONG, advice="There must be one; several count for nothing.")
            return
        state, advice = _judged_policy(_tags(records[0]), is_parent=at > 0, providers=providers)
        yield finding(state=state, advice=advice)
        return
    advice = f"Put a TXT record: v=DMARC1; p=none; rua=mailto:dmarc@{domain}"
    yield Finding(record="DMARC", name=f"_dmarc.{domain}", needed=True, state=State.MISSING, advice=advice)


def _judged_policy(
    tags: dict[str, str], *, is_parent: bool, providers: dict[str, MailProvider]
) -> tuple[State, str]:
    policy = (tags.get("sp") if is_parent else None) or tags.get("p", "")
    if policy.lower() not in ("none", "quarantine", "reject"):
        return State.WRONG, f"The policy is {policy!r}; write p=none, p=quarantine or p=reject."
    hints = []
    if policy.lower() == "none":
        hints.append("p=none only watches; when the reports show nothing strange, write p=quarantine")
    if not tags.get("rua"):
        hints.append("without rua=mailto:… nobody sends you reports")
    elif not tags["rua"].lower().startswith(("mailto:", "https:")):
        return State.WRONG, "rua must be an address such as mailto:dmarc@example.com."
    if tags.get("aspf", "r").lower() == "s" and any(one.bounces for one in providers.values()):
        hints.append("aspf=s asks for bounces to this very domain, which your providers take to one below it")
    if tags.get("adkim", "r").lower() == "s":
        hints.append("adkim=s asks for signatures of this very domain")
    return (State.ADVICE, _sentence(hints)) if hints else (State.OK, "")


def _mx(dns: Dns, domain: str, return_path: str, providers: dict[str, MailProvider]) -> Iterator[Finding]:
    names = {return_path or domain: bool(return_path) or "smtp" in providers or not providers}
    names.update({f"{one.bounces}.{domain}": True for one in providers.values() if one.bounces})
    for name, needed in names.items():
        servers = dns.mx(name)
        hosts = ", ".join(f"{preference} {host}" for preference, host in servers)
        finding = functools.partial(Finding, record="MX", name=name, needed=needed, found=hosts)
        if servers == [(0, "")] or any(host == "" for _, host in servers):
            advice = "It says that no mail is taken: bounces cannot come back."
            yield finding(state=State.WRONG, advice=advice)
        elif servers:
            yield finding(state=State.OK)
        elif dns.has_address(name):
            advice = "Bounces go to the host of that name itself; say so with an MX record."
            yield finding(state=State.ADVICE, advice=advice)
        else:
            advice = "Put an MX record for the server that takes bounces."
            yield finding(state=State.MISSING, advice=advice)


def _bimi(dns: Dns, domain: str) -> Iterator[Finding]:
    name = f"default._bimi.{domain}"
    records = [text for text in dns.txt(name) if text.replace(" ", "").startswith("v=BIMI1")]
    if not records:
        advice = "Optional: a logo beside your mail; it needs DMARC with p=quarantine or p=reject."
        yield Finding(record="BIMI", name=name, needed=False, state=State.ADVICE, advice=advice)
        return
    logo = _tags(records[0]).get("l", "")
    good = not logo or (logo.lower().startswith("https://") and logo.lower().endswith(".svg"))
    yield Finding(
        record="BIMI",
        name=name,
        needed=False,
        state=State.OK if good else State.WRONG,
        found=records[0],
        advice="" if good else "l= must be an https address of an SVG.",
    )
