"""Where the servers' data lives, and under which account they run.

An ordinary user's data lives in ``var/`` of the checkout. Root's PostgreSQL must run as an unprivileged
account, which reads neither a private home nor the wheels inside it. So for root the binaries are copied
once beside the data; and when the account cannot reach ``var/`` at all, data and binaries live in a
private folder of their own below ``/var/lib/castcomm``, named in ``var/servers-home``. No mode of an
existing folder changes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from castcomm.embedded.errors import EmbeddedError
from castcomm.embedded.process import Account

_POINTER = "servers-home"
_BACK_POINTER = "checkout"
_SYSTEM_FOLDERS = ("/var/lib/castcomm", "/var/tmp/castcomm")
_ACCOUNTS = ("nobody",)


@dataclass(frozen=True)
class Places:
    """``var`` is in the checkout; ``home`` holds the servers' data; an ordinary user has no ``account``."""

    checkout: Path
    var: Path
    home: Path
    account: Account | None

    @property
    def logs(self) -> Path:
        return self.var / "log"


def find_places(checkout: Path) -> Places:
    """The places of ``checkout``, made when missing. Raises EmbeddedError when ``var/`` is someone else's."""
    var = checkout / "var"
    try:
        var.mkdir(exist_ok=True)
        (var / "log").mkdir(exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"{var}, where CastComm keeps its data, cannot be written: {error.strerror}."
        ) from error
    if not os.access(var, os.W_OK) or not os.access(var / "log", os.W_OK):
        raise EmbeddedError(
            f"{var} belongs to {_owner_name(var / 'log')}. Start CastComm as that user, or remove the folder "
            "(and the demo data in it) for a fresh start."
        )
    if os.geteuid() != 0:
        return Places(checkout, var, var, None)
    account = _account_beside_root(var)
    home = var if reachable(var, account) else _private_home(var, account)
    return Places(checkout, var, home, account)


def _account_beside_root(var: Path) -> Account:
    """In an ordinary user's checkout that user, whose data may be there already; elsewhere nobody."""
    with contextlib.suppress(KeyError):
        entry = pwd.getpwuid(var.stat().st_uid)
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and this system has no account 'nobody'. "
        "Start CastComm as an ordinary user, or set DATABASE_URL."
    )


def owner(path: Path) -> Account:
    """The account that owns ``path``; it need not have a name."""
    status = path.stat()
    return Account(_owner_name(path), status.st_uid, status.st_gid)


def _owner_name(path: Path) -> str:
    uid = path.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def reachable(path: Path, account: Account) -> bool:
    """Whether ``account`` can enter ``path``; asked of the kernel, so that access lists count as well."""
    answer = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return answer.returncode == 0


def give(path: Path, account: Account | None) -> None:
    """Hand a file or folder that was just made to the server's account."""
    if account is not None:
        os.chown(path, account.uid, account.gid)


def make_private(path: Path, account: Account | None) -> Path:
    """A folder only the server's account may enter."""
    path.mkdir(mode=0o700)
    give(path, account)
    return path


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Write ``text`` so that no one else can read it, at once or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    give(partial, account)
    partial.replace(path)


def _private_home(var: Path, account: Account) -> Path:
    pointer = var / _POINTER
    if pointer.is_file():
        home = Path(pointer.read_text().strip())
        if home.is_dir() and _belongs_to(home, var):
            write_private(home / _BACK_POINTER, str(var.resolve()))
            return home
    for folder in _system_folders(account):
        _forget_orphans(folder, var)
        home = folder / secrets.token_hex(8)
        home.mkdir()
        home.chmod(0o711)
        write_private(home / _BACK_POINTER, str(var.resolve()))
        write_private(pointer, f"{home}\n")
        return home
    raise EmbeddedError(
        f"The account {account.name}, under which PostgreSQL runs when you are root, can reach neither {var} "
        f"nor {' nor '.join(_SYSTEM_FOLDERS)}. Start CastComm as an ordinary user, or set DATABASE_URL "
        "and REDIS_URL."
    )


def _belongs_to(home: Path, var: Path) -> bool:
    """False when ``var`` is a copy of another checkout that still uses ``home``."""
    back = home / _BACK_POINTER
    if not back.is_file():
        return False
    recorded = Path(back.read_text().strip())
    if recorded == var.resolve():
        return True
    pointer = recorded / _POINTER
    return not (pointer.is_file() and pointer.read_text().strip() == str(home))


def _system_folders(account: Account) -> Iterator[Path]:
    for name in _SYSTEM_FOLDERS:
        folder = Path(name)
        with contextlib.suppress(OSError):
            if not folder.exists():
                folder.mkdir()
                folder.chmod(0o711)
            status = folder.lstat()
            # /var/tmp is everybody's: a folder that someone else put there is not ours to trust.
            if (
                folder.is_dir()
                and not folder.is_symlink()
                and status.st_uid == 0
                and reachable(folder, account)
            ):
                yield folder


def _forget_orphans(folder: Path, var: Path) -> None:
    """Remove the data of this checkout's earlier ``var/``: whoever removed that wanted a fresh start."""
    for home in folder.iterdir():
        back = home / _BACK_POINTER
        if back.is_file() and back.read_text().strip() == str(var.resolve()):
            shutil.rmtree(home)
