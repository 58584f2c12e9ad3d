"""News from accounts for the apps above."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from castcomm.common.events import DomainEvent


@dataclass(frozen=True, kw_only=True)
class UserRegistered(DomainEvent):
    """A new person belongs to an organization; published once.

    In the transaction that made the membership, or, after a sign-up, in the one that confirmed the address.
    """

    user_id: uuid.UUID
    organization_id: uuid.UUID


@dataclass(frozen=True, kw_only=True)
class MemberAdded(DomainEvent):
    """Someone who had an account already was added to an organization."""

    user_id: uuid.UUID
    organization_id: uuid.UUID


@dataclass(frozen=True, kw_only=True)
class UserZoneChanged(DomainEvent):
    """A person's own time zone is another one; published in the transaction of the change.

    ``before`` and ``after`` are names of the IANA database.
    """

    user_id: uuid.UUID
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class EmailVerified(DomainEvent):
    """A person has shown that an address is theirs. Published in the transaction that wrote it down."""

    user_id: uuid.UUID
    email: str


@dataclass(frozen=True, kw_only=True)
class AccountLinked(DomainEvent):
    """A person can sign in through ``provider`` (such as google) from now on."""

    user_id: uuid.UUID
    provider: str
