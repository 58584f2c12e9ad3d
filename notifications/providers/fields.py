"""Fields that the accounts of several providers have."""

from __future__ import annotations

from notifications.providers.base import Credential
from notifications.providers.far_sides import FAR_SIDE


def api_url(default: str = "") -> Credential:
    """The field that lets a stand-in take the provider's place; without a default the provider knows its own."""
    note = f"Only for tests and the demo{'' if default else '; empty means the provider’s own'}."
    return Credential(name=FAR_SIDE, required=False, default=default, label="API address", help=note)


def optional(name: str, *env: str, label: str, help: str = "", secret: bool = False) -> Credential:
    """A field that may stay empty, and its variables in the environment."""
    return Credential(name=name, env=env, label=label, secret=secret, required=False, help=help)


def sender_fields(*, address: tuple[str, ...], name: tuple[str, ...]) -> tuple[Credential, Credential]:
    """In whose name an account sends, if not in that of the deployment; given are the variables."""
    return (
        optional("from_email", *address, label="Sender's address"),
        optional("from_name", *name, label="Sender's name"),
    )
