"""``manage.py broadcast --organization SLUG --event-type KEY --topic KEY``: send to groups, and watch it go."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Organization
from accounts.selectors import find_organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import CastCommError
from castcomm.common.ids import parse_id
from notifications.models import Broadcast, RequestStatus
from notifications.services.audiences.groups import Audience, check_groups, split_recipients
from notifications.services.audiences.steering import (
    Progress,
    cancel_broadcast,
    find_broadcast,
    pause_broadcast,
    progress_of,
    resume_broadcast,
)
from notifications.services.sending import send_notification
from notifications.vocabulary import Priority

WIDTH = 30  # characters of the bar
STEERING: dict[str, tuple[Callable[..., int], str]] = {
    "pause": (pause_broadcast, "{} deliveries are held."),
    "resume": (resume_broadcast, "{} deliveries go on."),
    "cancel": (cancel_broadcast, "{} deliveries were stopped."),
}


class Command(BaseCommand):
    help = "Send to topics, lists, roles or everyone, and show how far it is; or pause, resume or cancel a broadcast."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, help="the organization's slug")
        parser.add_argument("--topic", action="append", default=[], help="a topic's key; may be given again")
        parser.add_argument("--list", action="append", default=[], help="a list's key; may be given again")
        parser.add_argument("--role", action="append", default=[], help="a role; may be given again")
        parser.add_argument("--everyone", action="store_true", help="the whole organization")
        parser.add_argument("--event-type", help="its key")
        parser.add_argument("--template", help="its key, instead of the event type's own")
        parser.add_argument(
            "--file", help="JSON with content, data, tags, … as the API takes them; - reads input"
        )
        parser.add_argument("--priority", choices=[one.key for one in Priority])
        parser.add_argument("--idempotency-key", default="", help="the same key sends once")
        parser.add_argument(
            "--dry-run", action="store_true", help="say how many it would be, and send nothing"
        )
        parser.add_argument("--detach", action="store_true", help="do not wait until it is written")
        for name in STEERING:
            parser.add_argument(f"--{name}", metavar="ID", help=f"{name} this broadcast")
        parser.add_argument("--watch", metavar="ID", help="show how far this broadcast is")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = find_organization(options["organization"])
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']!r}.")
        try:
            self._run(organization, options)
        except CastCommError as error:
            raise CommandError(f"{error.attr}: {error.message}" if error.attr else error.message) from error

    def _run(self, organization: Organization, options: dict[str, Any]) -> None:
        for name, (act, said) in STEERING.items():
            if options[name]:
                count = act(organization=organization, broadcast_id=_id(options[name]))
                self.stdout.write(said.format(f"{count:,}"))
                return
        if options["watch"]:
            self._watch(organization, _id(options["watch"]))
            return
        recipients = _recipients(options)
        if not recipients:
            raise CommandError("Name --topic, --list, --role or --everyone.")
        if options["dry_run"]:
            self._count(organization, recipients)
            return
        broadcast = self._send(organization, recipients, options)
        self.stdout.write(f"Broadcast {broadcast.id} to {broadcast.total:,} recipients.")
        if not options["detach"]:
            self._watch(organization, broadcast.id)

    def _count(self, organization: Organization, recipients: list[dict[str, Any]]) -> None:
        _, groups = split_recipients(recipients)
        check_groups(organization.id, groups)
        audience = Audience(organization.id, [group.stored for group in groups], current_time())
        self.stdout.write(f"It would go to {audience.count():,} recipients. Nothing was sent.")

    def _send(
        self, organization: Organization, recipients: list[dict[str, Any]], options: dict[str, Any]
    ) -> Broadcast:
        given = _from_file(options["file"]) if options["file"] else {}
        for name in ("event_type", "template", "priority", "idempotency_key"):
            if options[name]:
                given[name] = options[name]
        try:
            sent = send_notification(
                organization=organization, recipients=recipients, source="command", **given
            )
        except TypeError as error:
            raise CommandError(f"{options['file']}: {error}.") from error
        return Broadcast.objects.get(request_id=sent.request_id)

    def _watch(self, organization: Organization, broadcast_id: uuid.UUID) -> None:
        """Show the bar until it is written; Ctrl-C asks what to do."""
        while True:
            try:
                progress = self._show(organization, broadcast_id)
                if progress.status != RequestStatus.FANNING_OUT:
                    self.stdout.write(f"\n{RequestStatus(progress.status).label}.")
                    return
                time.sleep(1)
            except KeyboardInterrupt:
                if self._ask(organization, broadcast_id):
                    return

    def _show(self, organization: Organization, broadcast_id: uuid.UUID) -> Progress:
        progress = progress_of(find_broadcast(organization, broadcast_id))
        end = "\r" if self.stdout.isatty() else "\n"
        self.stdout.write(bar(progress), ending=end)
        self.stdout.flush()
        return progress

    def _ask(self, organization: Organization, broadcast_id: uuid.UUID) -> bool:
        """Whether to stop watching."""
        answer = input("\n[p]ause, [c]ancel, [l]eave it running, or go on [w]atching? ").strip().lower()[:1]
        if answer in ("p", "c"):
            act, said = STEERING["pause" if answer == "p" else "cancel"]
            count = act(organization=organization, broadcast_id=broadcast_id)
            self.stdout.write(said.format(f"{count:,}"))
        return answer in ("p", "c", "l")


def bar(progress: Progress) -> str:
    """One line: how much is written, how fast, how much waits, how long it takes."""
    done = WIDTH * progress.percent // 100
    parts = [
        f"[{'#' * done}{'.' * (WIDTH - done)}] {progress.percent:3d}%",
        f"{progress.written:,} of {progress.total:,} written",
        f"{progress.write_rate:,.0f}/s",
        f"{progress.waiting:,} waiting",
    ]
    if progress.seconds_left is not None:
        parts.append(f"{progress.seconds_left:,.0f} s left")
    return "  ".join(parts)


def _id(given: str) -> uuid.UUID:
    found = parse_id(given)
    if found is None:
        raise CommandError(f"{given!r} is no id.")
    return found


def _recipients(options: dict[str, Any]) -> list[dict[str, Any]]:
    named: list[dict[str, Any]] = [{kind: key} for kind in ("topic", "list", "role") for key in options[kind]]
    return [*named, {"organization": True}] if options["everyone"] else named


def _from_file(name: str) -> dict[str, Any]:
    """What the file says, as arguments of ``send_notification``; raises CommandError."""
    try:
        given = orjson.loads(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from error
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{name} is no JSON: {error}.") from error
    if not isinstance(given, dict):
        raise CommandError(f"{name} must hold an object.")
    return given
