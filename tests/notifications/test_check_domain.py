"""``check_domain`` against a DNS server on loopback."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import CommandError, call_command

from notifications.models import ProviderAccount
from notifications.providers.base import email_providers
from notifications.services.domain_check import PROVIDERS

from .dns_server import Zone, dns_server


@functools.cache
def rsa(bits: int) -> str:
    # No library makes keys as short as some that still stand in the DNS; any odd number will do for those.
    small = RSAPublicNumbers(65537, (1 << bits) - 569) if bits < 1024 else None
    public = small.public_key() if small else generate_private_key(65537, bits).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def key(bits: int = 2048, tags: str = "v=DKIM1; k=rsa") -> list[str]:
    """A DKIM record in two strings, as zones hold long ones."""
    text = f"{tags}; p={rsa(bits)}"
    return [f'"{text[:200]}" "{text[200:]}"']


def zone(**changes: Any) -> dict[tuple[str, str], list[str]]:
    """A domain that is set up well for Mailgun; ``None`` takes a record away."""
    made: dict[str, Any] = {
        "spf": ["v=spf1 include:mailgun.org ~all"],
        "dkim": key(),
        "dmarc": ["v=DMARC1; p=quarantine; rua=mailto:dmarc@shop.example"],
        "mx": ["10 mx.shop.example."],
        **changes,
    }
    places = {
        "spf": ("shop.example", "TXT"),
        "dkim": ("k1._domainkey.shop.example", "TXT"),
        "dmarc": ("_dmarc.shop.example", "TXT"),
        "mx": ("shop.example", "MX"),
        "bimi": ("default._bimi.shop.example", "TXT"),
    }
    found: dict[tuple[str, str], list[str]] = {
        ("shop.example", "A"): ["192.0.2.1"],
        ("mailgun.org", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 include:_spf.mailgun.org ~all"'],
        ("_spf.mailgun.org", "TXT"): ['"v=spf1 ip4:198.51.100.0/24 -all"', '"another text"'],
    }
    for name, records in made.items():
        if records is not None:
            quoted = [one if one.startswith('"') or name == "mx" else f'"{one}"' for one in records]
            found[places[name]] = quoted
    return found


def check(
    records: Zone, *arguments: str, domain: str = "shop.example", **server: Any
) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    """Exit code, and the findings by record and name."""
    out, code = io.StringIO(), 0
    with dns_server(records, **server) as running:
        given = [domain, "--json", "--nameserver", running.address, "--timeout", "1"]
        if "--provider" not in arguments:
            given += ["--provider", "mailgun"]
        try:
            call_command("check_domain", *given, *arguments, stdout=out)
        except CommandError as error:
            code = error.returncode
    told = json.loads(out.getvalue())
    assert told["ok"] is (code != 1)
    return code, {(one["record"], one["name"]): one for one in told["findings"]}


def test_a_domain_that_is_set_up_well() -> None:
    code, found = check(zone())
    assert code == 0
    states = {name: one["state"] for name, one in found.items()}
    assert states == {
        ("SPF", "shop.example"): "ok",
        ("DKIM", "k1._domainkey.shop.example"): "ok",
        ("DMARC", "_dmarc.shop.example"): "ok",
        ("MX", "shop.example"): "ok",
        ("BIMI", "default._bimi.shop.example"): "advice",
    }
    assert "(2 of 10 lookups)" in found["SPF", "shop.example"]["found"]


def test_a_domain_with_nothing_is_told_what_to_put() -> None:
    code, found = check({})
    assert code == 1
    assert found["SPF", "shop.example"]["state"] == "missing"
    assert "v=spf1 include:mailgun.org ~all" in found["SPF", "shop.example"]["advice"]
    assert (
        "v=DMARC1; p=none; rua=mailto:dmarc@shop.example" in found["DMARC", "_dmarc.shop.example"]["advice"]
    )
    assert found["DKIM", "<selector>._domainkey.shop.example"]["state"] == "missing"
    assert found["MX", "shop.example"]["state"] == "missing"


@pytest.mark.parametrize(
    ("spf", "state", "words"),
    [
        (["v=spf1 ~all"], "wrong", "include:mailgun.org is not in it"),
        (["v=spf1 include:mailgun.org ~all", "v=spf1 -all"], "wrong", "There must be one"),
        (["v=spf1 include:mailgun.org +all"], "wrong", "lets everyone send"),
        (["v=spf1 include:mailgun.org all"], "wrong", "lets everyone send"),
        (["v=spf1 include:mailgun.org"], "advice", "end it with ~all"),
        (["v=spf1 include:mailgun.org ptr ~all"], "advice", "ptr"),
        (["v=spf1 include:mailgun.org include:gone.example ~all"], "wrong", "gone.example"),
        (["v=spf1 include:mailgun.org include:shop.example ~all"], "wrong", "in a circle"),
        (["v=spf1 include:mailgun.org ipv4:192.0.2.1 ~all"], "wrong", "'ipv4:192.0.2.1' is no mechanism"),
        (["V=SPF1 INCLUDE:MAILGUN.ORG -ALL", "v=spf10 x"], "ok", ""),
        (["v=spf1 redirect=mailgun.org"], "ok", ""),
        (
            ["v=spf1 a mx a:shop.example/24 ip6:2001:db8::/32 exp=x.example include:mailgun.org -all"],
            "ok",
            "",
        ),
        (
            ["v=spf1 a:n1.example a:n2.example mx:n3.example include:mailgun.org -all"],
            "wrong",
            "find nothing",
        ),
        (["v=spf1 exists:%{i}.x.example include:mailgun.org ~all"], "ok", ""),
    ],
)
def test_spf(spf: list[str], state: str, words: str) -> None:
    code, found = check(zone(spf=spf))
    one = found["SPF", "shop.example"]
    assert one["state"] == state
    assert words in one["advice"]
    assert code == (1 if state == "wrong" else 0)


@pytest.mark.parametrize(("own", "state"), [(8, "ok"), (9, "wrong")])
def test_lookups_are_counted_through_includes(own: int, state: str) -> None:
    terms = " ".join(["a"] * own)
    _, found = check(zone(spf=[f"v=spf1 {terms} include:mailgun.org ~all"]))
    assert found["SPF", "shop.example"]["state"] == state
    if state == "wrong":
        assert "11 DNS lookups" in found["SPF", "shop.example"]["advice"]


def test_a_record_that_includes_without_end_is_given_up() -> None:
    records = zone(spf=["v=spf1 include:n0.example include:n0.example ~all"])
    for number in range(60):
        records[f"n{number}.example", "TXT"] = [
            f'"v=spf1 include:n{number + 1}.example include:n{number + 1}.example ~all"'
        ]
    with dns_server(records) as server:
        arguments = ("--provider", "mailgun", "--nameserver", server.address)
        with pytest.raises(CommandError):
            call_command("check_domain", "shop.example", *arguments, stdout=io.StringIO())
    assert server.asked < 100


@pytest.mark.django_db
def test_the_providers_are_those_that_are_configured(settings: Any) -> None:
    settings.EMAIL_PRIMARY_PROVIDER, settings.EMAIL_PROVIDER = "mailgun", ""
    ProviderAccount.objects.create(channel="email", provider="postmark", name="Second")
    ProviderAccount.objects.create(channel="email", provider="resend", name="Off", is_active=False)
    out = io.StringIO()
    with dns_server(zone()) as server, contextlib.suppress(CommandError):
        call_command("check_domain", "shop.example", "--json", "--nameserver", server.address, stdout=out)
    assert {"mailgun", "postmark"} <= set(json.loads(out.getvalue())["providers"])
    assert "resend" not in json.loads(out.getvalue())["providers"]


@pytest.mark.parametrize(
    ("records", "state", "words"),
    [
        (key(512), "wrong", "512 bits"),
        (key(1024), "advice", "2048 are better"),
        (key(2048, "k=rsa"), "ok", ""),
        (key(2048, "v=DKIM1; t=y:s"), "advice", "only trying"),
        (key(2048, "v=DKIM2"), "wrong", "v=DKIM1"),
        (["v=DKIM1; p="], "wrong", "revoked"),
        (["v=DKIM1; p=AAAA"], "wrong", "copy it again"),
        (["v=DKIM1; p=not base64!"], "wrong", "copy it again"),
        ([*key(), *key(1024)], "wrong", "must be one"),
        (["v=spf1 -all"], "missing", "Put the record"),
    ],
)
def test_dkim(records: list[str], state: str, words: str) -> None:
    code, found = check(zone(dkim=records), "--selector", "k1")
    one = found["DKIM", "k1._domainkey.shop.example"]
    assert one["state"] == state
    assert words in one["advice"]
    assert code == (1 if state in ("wrong", "missing") else 0)


def test_dkim_with_ed25519_and_behind_an_alias() -> None:
    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    records = zone(dkim=None) | {
        ("s1._domainkey.shop.example", "CNAME"): ["s1.provider.example."],
        ("s1.provider.example", "TXT"): [f'"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"'],
    }
    code, found = check(records, "--selector", "s1")
    assert (code, found["DKIM", "s1._domainkey.shop.example"]["state"]) == (0, "ok")


def test_a_selector_that_is_named_must_be_there() -> None:
    code, found = check(zone(), "--selector", "k1", "--selector", "2026")
    assert code == 1
    assert found["DKIM", "2026._domainkey.shop.example"]["state"] == "missing"


@pytest.mark.parametrize(
    ("dmarc", "state", "words"),
    [
        (["v=DMARC1; p=none; rua=mailto:d@shop.example"], "advice", "p=none only watches"),
        (["v=DMARC1; p=reject"], "advice", "without rua"),
        (["v=DMARC1; p=block; rua=mailto:d@shop.example"], "wrong", "The policy is 'block'"),
        (["v=DMARC1; rua=mailto:d@shop.example"], "wrong", "The policy is ''"),
        (["v=DMARC1; p=reject; rua=d@shop.example"], "wrong", "rua must be"),
        (["v=DMARC1; p=reject; adkim=s; rua=mailto:d@shop.example"], "advice", "adkim=s"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "wrong", "must be one"),
        (["something else"], "missing", "Put a TXT record"),
    ],
)
def test_dmarc(dmarc: list[str], state: str, words: str) -> None:
    code, found = check(zone(dmarc=dmarc))
    one = found["DMARC", "_dmarc.shop.example"]
    assert one["state"] == state
    assert words in one["advice"]
    assert code == (1 if state in ("wrong", "missing") else 0)


def test_a_subdomain_has_the_policy_of_its_parent() -> None:
    records = {
        ("mail.shop.example" if name == "shop.example" else name, kind): value
        for (name, kind), value in zone(dmarc=["v=DMARC1; p=reject; sp=none; rua=mailto:d@x.example"]).items()
    }
    records["k1._domainkey.mail.shop.example", "TXT"] = key()
    code, found = check(records, domain="mail.shop.example")
    assert code == 0
    assert "p=none only watches" in found["DMARC", "_dmarc.shop.example"]["advice"]


@pytest.mark.parametrize(
    ("mx", "state", "code"),
    [(["0 ."], "wrong", 1), (None, "advice", 0), (["10 mx.shop.example."], "ok", 0)],
)
def test_bounces_need_a_way_back(mx: list[str] | None, state: str, code: int) -> None:
    told, found = check(zone(mx=mx), "--provider", "smtp", "--selector", "k1")
    assert (told, found["MX", "shop.example"]["state"]) == (code, state)


def test_a_provider_with_a_return_path_of_its_own() -> None:
    arguments = ("--provider", "resend", "--selector", "k1")
    code, found = check(zone(spf=["v=spf1 ~all"]), *arguments)
    assert code == 1
    assert found["SPF", "shop.example"]["state"] == "ok"
    assert found["SPF", "send.shop.example"]["state"] == "missing"
    assert found["MX", "send.shop.example"]["state"] == "missing"
    records = zone(spf=["v=spf1 ~all"]) | {
        ("send.shop.example", "TXT"): ['"v=spf1 include:amazonses.com ~all"'],
        ("send.shop.example", "MX"): ["10 feedback.example."],
        ("amazonses.com", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
    }
    code, found = check(records, *arguments)
    assert (code, found["SPF", "send.shop.example"]["state"]) == (0, "ok")


def test_a_return_path_that_is_named_is_looked_at() -> None:
    code, found = check(zone(), "--return-path", "bounces.shop.example")
    assert (code, found["MX", "bounces.shop.example"]["state"]) == (1, "missing")


@pytest.mark.parametrize(
    ("bimi", "state"),
    [
        ("v=BIMI1; l=https://shop.example/logo.svg", "ok"),
        ("v=BIMI1; l=http://shop.example/logo.png", "wrong"),
    ],
)
def test_bimi_is_never_needed(bimi: str, state: str) -> None:
    code, found = check(zone(bimi=[bimi]))
    assert (code, found["BIMI", "default._bimi.shop.example"]["state"]) == (0, state)


@pytest.mark.parametrize("how", ["silent", "broken"])
def test_what_nobody_answers_is_said_and_is_not_called_missing(how: str) -> None:
    code, found = check(zone(), **{how: ["_dmarc.shop.example"]})
    assert code == 2
    assert found["DMARC", "_dmarc.shop.example"]["state"] == "unanswered"
    assert found["SPF", "shop.example"]["state"] == "ok"


def test_the_table_reads_well() -> None:
    out = io.StringIO()
    with dns_server(zone(dmarc=None)) as server, pytest.raises(CommandError, match="1 of the records"):
        call_command(
            "check_domain",
            "Shop.Example.",
            *("--provider", "mailgun", "--nameserver", server.address),
            stdout=out,
            no_color=True,
        )
    text = out.getvalue()
    assert "shop.example, sending through mailgun" in text
    assert "DMARC missing    _dmarc.shop.example" in text
    assert "→ Put a TXT record: v=DMARC1; p=none; rua=mailto:dmarc@shop.example" in text


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["nonsense"], "domain"),
        (["a@shop.example"], "domain"),
        (["https://shop.example/"], "domain"),
        (["shop.example", "--nameserver", "dns.example"], "nameserver"),
        (["shop.example", "--nameserver", "127.0.0.1:x"], "nameserver"),
        (["shop.example", "--selector", "a b"], "selector"),
        (["shop.example", "--return-path", "x"], "return_path"),
    ],
)
def test_wrong_input_names_the_field(arguments: list[str], field: str) -> None:
    with pytest.raises(CommandError, match=f"^{field}: "):
        call_command("check_domain", *arguments, stdout=io.StringIO())


def test_every_mail_provider_is_known() -> None:
    assert set(PROVIDERS) - {"smtp"} <= set(email_providers.keys())
