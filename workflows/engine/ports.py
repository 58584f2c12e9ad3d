"""What the engine is handed: the person's data and a place for effects (and a ``Clock``, see common).

The live engine gets the real ones (``workflows.engine.live``). A simulation hands in a virtual clock, the same
reader, and effects that are only listed.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from workflows.engine.wants import LeafEffects

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

    def find_all(
        self, wanted: Sequence[tuple[uuid.UUID, uuid.UUID]]
    ) -> Mapping[tuple[uuid.UUID, uuid.UUID], Person]:
        """The people of these pairs of user and organization; who is no active member is left out."""
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
    content: Mapping[str, str] | None = None
    critical: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a ``Send``."""

    request_id: uuid.UUID
    notification_id: uuid.UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which step of which run asks for something. ``started_at`` is when the execution began.

    ``scope`` names the step within its workflow: its id, or its path when it has none.
    """

    organization_id: uuid.UUID
    user_id: uuid.UUID
    workflow_id: uuid.UUID
    execution_id: uuid.UUID
    step_run_id: uuid.UUID
    scope: str
    started_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinDigest:
    """A run that wants to be collected with others of the same person under ``key``.

    ``until``: when a window that is opened now closes. ``sliding_max``: each item moves the end to ``until``, but not
    further from the opening than this. ``look_back``: one is kept open only if something came in this long
    before. ``limit``: that many items close it.
    """

    origin: Origin
    key: str
    item: Mapping[str, Any]
    now: dt.datetime
    until: dt.datetime
    limit: int
    look_back: dt.timedelta | None = None
    sliding_max: dt.timedelta | None = None


@dataclass(frozen=True, slots=True)
class DigestJoined:
    """``owner`` is the execution that goes on with everything, at ``closes_at`` as it looks now.

    It is the one that asked itself when it opened the window; ``closed`` says that the window is closed already.
    """

    window: str
    owner: uuid.UUID
    closes_at: dt.datetime
    closed: bool = False


@dataclass(frozen=True, slots=True)
class DigestClosed:
    """The items of a closed window in the order in which they came."""

    items: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitEvent:
    """A run that waits for ``event`` of its person. ``match`` is an expression over ``event.`` and ``data.``, or empty.

    ``since``: events that came from then on count too.
    """

    origin: Origin
    event: str
    match: str
    data: Mapping[str, Any]
    now: dt.datetime
    since: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """A person who is to be in ``variant`` of ``experiment``, unless they are in one already."""

    origin: Origin
    experiment: str
    variant: str


class Effects(LeafEffects, Protocol):
    """Performs what steps want done, in the transaction that records the step's result."""

    def send(self, wanted: Send) -> Sent:
        """Send a notification; the same ``key`` sends once. Raises CastCommError."""
        ...

    def join_digest(self, wanted: JoinDigest) -> DigestJoined:
        """Put the item into the open window, or open one."""
        ...

    def close_digest(self, window: str, *, now: dt.datetime) -> DigestClosed | dt.datetime:
        """Close the window and return what is in it; or the later time at which it closes by now."""
        ...

    def await_event(self, wanted: AwaitEvent) -> Mapping[str, Any] | None:
        """The data of an event that has come already, else None: the step is woken when it comes."""
        ...

    def awaited_event(self, origin: Origin, *, now: dt.datetime) -> Mapping[str, Any] | None:
        """The data of the event that this step waited for, or None when it has not come; it waits no longer."""
        ...

    def assign(self, wanted: Assign) -> str:
        """The variant in which the person is from now on."""
        ...


class TransactionEffects(Effects, Protocol):
    """Effects of the live engine, which calls these around the steps of one transaction."""

    def begin(self, together: Iterable[Person] = ()) -> None:
        """A transaction begins; whatever an earlier one left is forgotten.

        What is sent to people of ``together`` may be put off to its end. An error then undoes the transaction.
        """
        ...

    def finish(self) -> None:
        """The results are recorded: do what has to come after them, before the commit."""
        ...
