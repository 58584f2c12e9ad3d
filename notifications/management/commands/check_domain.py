"""``manage.py check_domain DOMAIN``: whether mail from a domain will be accepted, as far as the DNS says."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from castcomm.common.errors import InvalidInput
from notifications.services.domain_check import PROVIDERS, Finding, State, check_mail_domain
from notifications.services.domain_dns import TIMEOUT, Dns, check_domain_name
from notifications.services.provider_accounts import all_accounts, environment_accounts
from notifications.vocabulary import Channel


class Command(BaseCommand):
    help = "Read a domain's SPF, DKIM, DMARC, MX and BIMI records and say what is missing (exit code 1)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain", help="the domain after the @ of EMAIL_FROM")
        parser.add_argument(
            "--selector", action="append", default=[], help="a DKIM selector that must be there"
        )
        parser.add_argument(
            "--provider",
            action="append",
            choices=sorted(PROVIDERS),
            help="instead of those that are configured",
        )
        parser.add_argument("--return-path", default="", help="the domain that bounces go to")
        parser.add_argument("--nameserver", default="", help="ask this server: an address, or address:port")
        parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds for one question")
        parser.add_argument("--json", action="store_true", help="the findings as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            domain = check_domain_name(options["domain"])
            return_path = options["return_path"] and check_domain_name(
                options["return_path"], attr="return_path"
            )
            dns = Dns(options["nameserver"], timeout=options["timeout"])
            for selector in options["selector"]:
                check_domain_name(f"{selector}._domainkey.{domain}", attr="selector")
        except InvalidInput as error:
            raise CommandError(f"{error.attr}: {error.message}") from error
        providers = options["provider"] or _configured()
        found = check_mail_domain(
            dns, domain, selectors=options["selector"], providers=providers, return_path=return_path
        )
        if options["json"]:
            self._tell_json(domain, providers, found)
        else:
            self._tell(domain, providers, found)
        failing = sum(one.fails for one in found)
        if failing:
            raise CommandError(
                f"{failing} of the records that are needed are missing or wrong.", returncode=1
            )
        if any(one.needed and one.state == State.UNANSWERED for one in found):
            raise CommandError(
                "The DNS did not answer; try again, or ask another --nameserver.", returncode=2
            )

    def _tell_json(self, domain: str, providers: list[str], found: list[Finding]) -> None:
        findings = [dataclasses.asdict(one) for one in found]
        good = not any(one.fails for one in found)
        told = {"domain": domain, "providers": providers, "ok": good, "findings": findings}
        self.stdout.write(json.dumps(told, indent=2))

    def _tell(self, domain: str, providers: list[str], found: list[Finding]) -> None:
        self.stdout.write(f"{domain}, sending through {', '.join(providers)}")
        styles = {State.OK: self.style.SUCCESS, State.ADVICE: self.style.WARNING}
        for one in found:
            style = styles.get(one.state, self.style.ERROR if one.needed else self.style.WARNING)
            optional = "" if one.needed else " (not needed)"
            self.stdout.write("")
            self.stdout.write(f"{one.record:<6}{style(f'{one.state.value:<11}')}{one.name}{optional}")
            for text in (one.found, one.advice and f"→ {one.advice}"):
                if text:
                    self.stdout.write(" " * 17 + text)


def _configured() -> list[str]:
    """The keys of the mail providers of this deployment; without a database, those of the environment."""
    try:
        accounts = [one for one in all_accounts() if one.channel == Channel.EMAIL]
    except DatabaseError:
        accounts = environment_accounts(Channel.EMAIL)
    return sorted({one.provider for one in accounts})
