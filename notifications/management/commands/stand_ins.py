"""``manage.py stand_ins --port N``: the far side of every provider, for the demo and benchmarks.

Only in development: what it takes from an account that leads to it reaches nobody.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from notifications.stand_ins import StandIn
from notifications.stand_ins.relay import Relay


class Command(BaseCommand):
    help = "Play all providers on loopback: what they accept goes nowhere."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True, help="0 for any, one for each provider then")
        parser.add_argument("--relay", metavar="HOST:PORT", help="hand accepted mails on to this SMTP server")
        parser.add_argument(
            "--keep", type=int, default=1000, help="accepted messages to remember per provider"
        )

        parser.add_argument(
            "--or-wait",
            action="store_true",
            help="outside development do nothing until told to end, instead of ending: for a Procfile, where the end "
            "of one process is the end of all",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            self._not_here(wait=options["or_wait"])
            return
        relay = Relay(**_address(options["relay"])) if options["relay"] else None
        server = StandIn(options["port"], keep=options["keep"], on_accepted=relay)
        try:
            server.start()
        except (OSError, OverflowError) as error:
            raise CommandError(f"The stand-ins' port {options['port']} cannot be used: {error}") from error
        ended = _end_signal()
        self.stdout.write(f"Stand-ins of the providers: http://127.0.0.1:{server.port}/_control/state")
        self.stdout.flush()
        ended.wait()
        server.stop()

    def _not_here(self, *, wait: bool) -> None:
        if not wait:
            raise CommandError("Stand-ins are for development only (DEBUG=1): what they take reaches nobody.")
        ended = _end_signal()
        self.stdout.write("No stand-ins outside development (DEBUG=1).")
        self.stdout.flush()
        ended.wait()


def _end_signal() -> threading.Event:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


def _address(given: str) -> dict[str, Any]:
    host, _, port = given.rpartition(":")
    if not host or not port.isdigit():
        raise CommandError(f"--relay is {given!r}; it must be HOST:PORT.")
    return {"host": host, "port": int(port)}
