"""``manage.py providers``: the provider accounts; and, in the demo, what makes their stand-ins fail.

manage.py providers                         every account, its breaker, limits, and the last hour
manage.py providers --demo on|off           SendGrid and Postmark, played by the stand-ins, before the mail catcher
manage.py providers --break sendgrid [--mode 429] [--times 3]
manage.py providers --mend sendgrid
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from castcomm.common.errors import CastCommError
from notifications.services.demo_providers import switch_off_demo_providers, switch_on_demo_providers
from notifications.services.provider_overview import AccountLine, account_lines
from notifications.stand_ins.modes import Mode
from notifications.stand_ins.remote import RemoteStandIn, StandInAway

_TITLES = ("key", "provider", "channel", "for", "pos", "active", "breaker", "limits", "sent 1h", "failed 1h")


class Command(BaseCommand):
    help = "Show provider accounts; break and mend the demo's stand-ins."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--break", metavar="NAME", dest="breaks", help="let a stand-in misbehave")
        what.add_argument("--mend", metavar="NAME", help="let it work again; 'all' for all")
        what.add_argument("--demo", choices=("on", "off"), help="accounts that the stand-ins play")
        parser.add_argument("--mode", choices=[*Mode], default=Mode.UNAVAILABLE.value, help="how (503)")
        parser.add_argument("--times", type=int, help="for so many calls (until mended)")
        parser.add_argument("--retry-after", type=float, help="seconds that it asks to wait")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["breaks"]:
                self._break(options)
            elif options["mend"]:
                self._mend(options["mend"])
            elif options["demo"]:
                self._demo(on=options["demo"] == "on")
            else:
                self.stdout.write(_table([_TITLES, *(_cells(line) for line in account_lines())]))
        except (StandInAway, ValueError) as error:
            raise CommandError(str(error)) from error
        except CastCommError as error:
            raise CommandError(error.message) from error

    def _break(self, options: dict[str, Any]) -> None:
        more = {name: options[name] for name in ("times", "retry_after") if options[name] is not None}
        name, mode = options["breaks"], options["mode"]
        _stand_ins().break_(name, mode=mode, **more)
        until = f"for {options['times']} calls" if options["times"] else "until it is mended"
        self.stdout.write(f"{name} now answers {mode} {until}: manage.py providers --mend {name}")

    def _mend(self, name: str) -> None:
        _stand_ins().mend(None if name == "all" else name)
        self.stdout.write("All work again." if name == "all" else f"{name} works again.")

    def _demo(self, *, on: bool) -> None:
        if not on:
            removed = switch_off_demo_providers()
            self.stdout.write(f"Removed: {', '.join(removed) or 'nothing, there were none'}.")
            return
        stand_ins = _stand_ins()
        stand_ins.state()  # accounts that lead nowhere are of no use
        made = switch_on_demo_providers(stand_ins=stand_ins.address)
        self.stdout.write("Mail now goes through these, in this order; SMTP comes last:")
        for account in made:
            self.stdout.write(f"  {account.position}  {account.name}")


def _stand_ins() -> RemoteStandIn:
    if not settings.DEBUG:
        raise ValueError("Stand-ins are for development only (DEBUG=1).")
    return RemoteStandIn(f"http://127.0.0.1:{settings.STAND_INS_PORT}")


def _cells(line: AccountLine) -> tuple[str, ...]:
    limits = [
        f"{limit}/{unit}"
        for limit, unit in ((line.per_minute, "min"), (line.per_hour, "h"), (line.per_day, "day"))
        if limit is not None
    ]
    return (
        line.key,
        line.provider,
        line.channel,
        line.organization or "all",
        str(line.position),
        "yes" if line.is_active else "no",
        line.breaker,
        " ".join(limits) or "none",
        str(line.sent),
        str(line.failed),
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)
