"""What the engine is handed: the person's data and a place for effects (and a ``Clock``, see common).

The live engine gets the real ones (``workflows.engine.live``). A simulation hands in a virtual clock, the same
reader, and effects that are only listed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from accounts.models import Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom a workflow is about. Expressions see ``fields`` and ``attributes``: plain values only."""

    id: uuid.UUID
    organization: Organization
    fields: Mapping[str, Any]
    attributes: Mapping[str, Any]


class PeopleReader(Protocol):
    """Reads a person's data at the moment a step runs."""

    def find(self, *, user_id: uuid.UUID, organization_id: uuid.UUID) -> Person | None:
        """The person, or None when they are no longer an active member of the organization."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A notification that a step wants sent; the fields are those of ``send_notification``."""

    organization: Organization
    user_id: uuid.UUID
    data: Mapping[str, Any]
    key: str
    event_type: str | None = None
    template: str | None = None
    channels: Sequence[str] | None = None
    priority: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a ``Send``."""

    request_id: uuid.UUID
    notification_id: uuid.UUID | None


class Effects(Protocol):
    """Performs what steps want done, in the transaction that records the step's result."""

    def send(self, wanted: Send) -> Sent:
        """Send a notification; the same ``key`` sends once. Raises CastCommError."""
        ...
