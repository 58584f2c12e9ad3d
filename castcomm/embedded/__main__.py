"""``python -m castcomm.embedded``: what is behind bin/run and bin/test, and the servers by themselves."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from castcomm.embedded.console import complain, say
from castcomm.embedded.environment import configured, lasting_secrets, read_variables
from castcomm.embedded.errors import EmbeddedError
from castcomm.embedded.lock import current_run
from castcomm.embedded.places import find_places
from castcomm.embedded.run import RUN_VARIABLES, run, run_environment
from castcomm.embedded.servers import lasting_servers
from castcomm.embedded.testing import run_tests

_CHECKOUT = Path(__file__).resolve().parents[2]
_PASS_ON = {"test", "manage"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m castcomm.embedded", description=__doc__)
    parser.add_argument("--checkout", type=Path, default=_CHECKOUT, help="the folder with manage.py and var/")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="what bin/run does after its set-up")
    commands.add_parser("test", help="what bin/test does after its set-up; arguments go to pytest")
    commands.add_parser("up", help="start PostgreSQL and Redis and leave them running")
    commands.add_parser("down", help="stop what 'up' started")
    commands.add_parser("env", help="print the variables of the running servers for a shell's eval")
    commands.add_parser("status", help="say what runs")
    commands.add_parser("manage", help="manage.py with those variables and the arguments that follow")
    mail = commands.add_parser("mail", help="the mail catcher alone")
    mail.add_argument("--smtp-port", type=int, default=1025)
    mail.add_argument("--http-port", type=int, default=8025)
    mail.add_argument("--folder", type=Path)
    return parser


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and those after ``test`` or ``manage``, which argparse would take for ours."""
    for index, argument in enumerate(arguments):
        if argument in _PASS_ON and arguments[index - 1 : index] != ["--checkout"]:
            return list(arguments[: index + 1]), list(arguments[index + 1 :])
    return list(arguments), []


def main(arguments: Sequence[str] | None = None) -> int:
    own, passed_on = _split(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(own)
    options.arguments = passed_on
    checkout: Path = options.checkout.resolve()
    try:
        return _COMMANDS[options.command](checkout, options)
    except EmbeddedError as error:
        complain(str(error))
        return 1


def _run(checkout: Path, options: argparse.Namespace) -> int:
    return run(checkout)


def _test(checkout: Path, options: argparse.Namespace) -> int:
    return run_tests(checkout, options.arguments)


def _env(checkout: Path, options: argparse.Namespace) -> int:
    for name, value in _variables(checkout).items():
        say(f"export {name}={shlex.quote(value)}")
    return 0


def _manage(checkout: Path, options: argparse.Namespace) -> int:
    command = [sys.executable, str(checkout / "manage.py"), *options.arguments]
    os.execve(sys.executable, command, run_environment(_variables(checkout)))


def _mail(checkout: Path, options: argparse.Namespace) -> int:
    from castcomm.embedded import mail

    folder = options.folder or find_places(checkout).var / "mail"
    mail.run(smtp_port=options.smtp_port, http_port=options.http_port, folder=folder)
    return 0


def _up(checkout: Path, options: argparse.Namespace) -> int:
    settings = configured(checkout)
    for variable, server in lasting_servers(find_places(checkout)).items():
        if settings.get(variable):
            say(f"{server.title} is configured through {variable}.")
        elif server.start(follow_parent=False):
            say(f"{server.title} runs on port {server.port}.")
        else:
            say(f"{server.title} already runs on port {server.port}.")
    return 0


def _down(checkout: Path, options: argparse.Namespace) -> int:
    places = find_places(checkout)
    if note := current_run(places.var):
        raise EmbeddedError(f"bin/run (process {note.pid}) uses the servers. Stop it first: kill {note.pid}")
    for server in reversed(lasting_servers(places).values()):
        if server.is_running():
            server.stop()
            say(f"{server.title} stopped.")
    return 0


def _status(checkout: Path, options: argparse.Namespace) -> int:
    places = find_places(checkout)
    note = current_run(places.var)
    say(f"bin/run: process {note.pid}, http://localhost:{note.port}/" if note else "bin/run: not running")
    for server in lasting_servers(places).values():
        identity = server.identity()
        say(
            f"{server.title}: process {identity.pid}, port {server.port}"
            if identity
            else f"{server.title}: not running"
        )
    say(f"Data: {places.home}")
    return 0


def _variables(checkout: Path) -> dict[str, str]:
    """What bin/run gave its processes; without bin/run, what reaches the servers of ``up``."""
    places = find_places(checkout)
    if current_run(places.var) is not None:
        return read_variables(places.var / RUN_VARIABLES)
    settings = configured(checkout)
    urls = {}
    for variable, server in lasting_servers(places).items():
        if not settings.get(variable):
            if not server.is_running():
                raise EmbeddedError(
                    f"{server.title} does not run. Start everything with bin/run, or the servers alone with "
                    "python -m castcomm.embedded up"
                )
            urls[variable] = server.url
    defaults = {"DEBUG": "1"} if "DEBUG" not in settings else {}
    return defaults | lasting_secrets(places.var, settings) | urls


_COMMANDS = {
    "run": _run,
    "test": _test,
    "up": _up,
    "down": _down,
    "env": _env,
    "status": _status,
    "manage": _manage,
    "mail": _mail,
}

if __name__ == "__main__":
    sys.exit(main())
