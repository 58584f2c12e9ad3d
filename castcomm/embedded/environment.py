"""The variables of a run: what a person set, what ``.env`` says, and the checkout's own secrets."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from castcomm.embedded.errors import EmbeddedError
from castcomm.embedded.places import write_private

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
DEFAULT_PORT = 8000


def read_variables(path: Path) -> dict[str, str]:
    """The ``NAME=value`` lines of a file such as ``.env``; empty when there is no such file."""
    if not path.is_file():
        return {}
    values = {}
    for line in path.read_text().splitlines():
        match = _LINE.match(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        name, value = match.groups()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        elif " #" in value:
            value = value.partition(" #")[0].rstrip()
        values[name] = value
    return values


def configured(checkout: Path) -> dict[str, str]:
    """What a person set: the environment wins over ``.env``, and an empty value counts as not set."""
    merged = read_variables(checkout / ".env") | {name: value for name, value in os.environ.items() if value}
    return {name: value for name, value in merged.items() if value}


def port_of(settings: Mapping[str, str]) -> int:
    """The web port. Raises EmbeddedError when PORT is not one."""
    text = settings.get("PORT", str(DEFAULT_PORT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise EmbeddedError(f"PORT is {text!r}; it must be a number from 1 to 65535.")
    return int(text)


def lasting_secrets(var: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """The secrets ``settings`` does not set, made once and kept in ``var/secrets.env`` (mode 0600).

    They open what is in the database, so they are as lasting as the data beside them.
    """
    path = var / "secrets.env"
    kept = read_variables(path)
    missing = {name: make for name, make in _SECRETS.items() if name not in kept}
    if missing:
        kept |= {name: make() for name, make in missing.items()}
        lines = ["# Made by bin/run for this checkout. Lose them, and encrypted fields stay closed."]
        lines += [f"{name}={value}" for name, value in kept.items()]
        write_private(path, "\n".join(lines) + "\n")
    return {name: value for name, value in kept.items() if name not in settings}


def passing_secrets(settings: Mapping[str, str]) -> dict[str, str]:
    """Secrets for one test run."""
    return {name: make() for name, make in _SECRETS.items() if name not in settings}


def _jwt_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # One line; the settings turn the two characters \n back.
    return pem.decode().strip().replace("\n", "\\n")


_SECRETS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "FIELD_ENCRYPTION_KEYS": lambda: Fernet.generate_key().decode(),
    "BLIND_INDEX_KEY": lambda: secrets.token_urlsafe(32),
    "JWT_PRIVATE_KEY": _jwt_key,
}
