"""``manage.py stand_ins --port N``: the far side of every provider, for the demo and benchmarks."""

from __future__ import annotations

import signal
import threading
from typing import Any

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

    def handle(self, *args: Any, **options: Any) -> None:
        relay = Relay(**_address(options["relay"])) if options["relay"] else None
        server = StandIn(options["port"], keep=options["keep"], on_accepted=relay)
        try:
            server.start()
        except (OSError, OverflowError) as error:
            raise CommandError(f"The stand-ins' port {options['port']} cannot be used: {error}") from error
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        self.stdout.write(f"Stand-ins of the providers: http://127.0.0.1:{server.port}/_control/state")
        self.stdout.flush()
        ended.wait()
        server.stop()


def _address(given: str) -> dict[str, Any]:
    host, _, port = given.rpartition(":")
    if not host or not port.isdigit():
        raise CommandError(f"--relay is {given!r}; it must be HOST:PORT.")
    return {"host": host, "port": int(port)}
