"""What bringing a folder in would change, and bringing it in."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from castcomm.common.as_code.documents import Documents, Folder, render
from castcomm.common.as_code.errors import FileProblem, FolderInvalid
from castcomm.common.as_code.kinds import Document, Kind, all_kinds
from castcomm.common.errors import CastCommError, Conflict
from castcomm.common.problems import Problem

if TYPE_CHECKING:
    from accounts.models import Organization


class Act(enum.Enum):
    """What happens to an entry."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that does not say the same in the folder and in the organization."""

    kind: str
    key: str
    before: Document | None
    after: Document | None

    @property
    def act(self) -> Act:
        if self.before is None:
            return Act.CREATE
        return Act.DELETE if self.after is None else Act.CHANGE

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a folder is to be brought in: ``prune`` deletes what no file has, ``publish`` puts drafts into use."""

    prune: bool = False
    publish: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``left_alone`` are entries that no file has and that stay; ``drafts`` those whose draft is not in use after it
    (with ``publish``: is put into use by it). ``state`` and ``folder`` are digests of both sides.
    """

    organization: str
    wish: Wish
    changes: Sequence[Change]
    left_alone: Sequence[str]
    drafts: Sequence[str]
    state: str
    folder: str

    @property
    def is_empty(self) -> bool:
        """Whether applying it would change nothing."""
        return not self.changes and not (self.wish.publish and self.drafts)

    def count(self, act: Act) -> int:
        return sum(change.act is act for change in self.changes)

    def saved(self) -> dict[str, Any]:
        """What must be the same when it is applied later."""
        return {
            "organization": self.organization,
            "prune": self.wish.prune,
            "publish": self.wish.publish,
            "state": self.state,
            "folder": self.folder,
        }


def export(*, organization: Organization, only: Sequence[str] = ()) -> dict[str, str]:
    """The files that say what the organization has: of all kinds, or of those named."""
    chosen = [kind for kind in all_kinds() if not only or kind.name in only]
    return render(_current(organization, chosen), chosen)


def plan_folder(*, organization: Organization, folder: Folder, wish: Wish) -> Plan:
    """What ``apply_folder`` would do: it is done and taken back, so that all it would refuse is refused.

    Raises FolderInvalid with everything that the services found wrong.
    """
    with transaction.atomic():
        plan = _carry_out(organization, folder, wish)
        transaction.set_rollback(True)
    return plan


def apply_folder(
    *, organization: Organization, folder: Folder, wish: Wish, expected: dict[str, Any] | None = None
) -> Plan:
    """Bring the folder in, all or nothing; returns what was done.

    Raises FolderInvalid, and Conflict when ``expected`` (``Plan.saved``) was made of another state or folder.
    """
    with transaction.atomic():
        return _carry_out(organization, folder, wish, expected)


def _carry_out(
    organization: Organization, folder: Folder, wish: Wish, expected: dict[str, Any] | None = None
) -> Plan:
    # Every change of the catalog counts the organization up: from here on it waits for us.
    type(organization).objects.select_for_update(no_key=True).only("id").get(pk=organization.pk)
    plan = _compare(organization, folder, wish)
    if expected is not None:
        _refuse_changed(plan.saved(), expected)
    writing = _Writing(organization, folder)
    writing.write(plan.changes)
    # Where something was refused already, publishing would only repeat it.
    drafts = list(writing.drafts()) if not writing.problems else []
    if wish.publish:
        for kind, key in drafts:
            writing.tried(kind, key, partial(kind.publish, organization, key))
    if writing.problems:
        raise FolderInvalid(writing.problems)
    return replace(plan, drafts=[f"{kind.name}/{key}" for kind, key in drafts])


def _refuse_changed(now: dict[str, Any], expected: dict[str, Any]) -> None:
    said = {
        "organization": "The plan is for another organization.",
        "folder": "The folder is not the one that was planned.",
        "state": "What the organization has was changed since the plan was made.",
        "prune": "The plan was made with another choice of --prune.",
        "publish": "The plan was made with another choice of --publish.",
    }
    for name, sentence in said.items():
        if now[name] != expected.get(name):
            raise Conflict(f"{sentence} Plan again.", attr=name, code="plan_outdated")


def _current(organization: Organization, chosen: Sequence[Kind]) -> Documents:
    return {
        kind.name: {key: kind.normal(one) for key, one in kind.current(organization).items()}
        for kind in chosen
    }


def _compare(organization: Organization, folder: Folder, wish: Wish) -> Plan:
    now, wanted = _current(organization, folder.kinds), folder.documents
    changes: list[Change] = []
    left_alone: list[str] = []
    for kind in folder.kinds:
        before, after = now[kind.name], wanted[kind.name]
        for key in kind.in_order(after):
            if not same_documents(before.get(key), after[key]):
                changes.append(Change(kind.name, key, before.get(key), after[key]))
        gone = [key for key in kind.in_order(before) if key not in after and not kind.is_built_in(key)]
        if wish.prune:
            changes += [Change(kind.name, key, before[key], None) for key in gone]
        else:
            left_alone += [f"{kind.name}/{key}" for key in gone]
    unpublished = {kind.name: list(kind.unpublished(organization)) for kind in folder.kinds}
    return Plan(
        organization=organization.slug,
        wish=wish,
        changes=changes,
        left_alone=left_alone,
        drafts=(),
        state=_digest([render(now, folder.kinds), unpublished]),
        folder=_digest(render(wanted, folder.kinds)),
    )


def same_documents(one: Document | None, other: Document) -> bool:
    """Whether both are the same in a file."""
    # Not ==, for which 1, 1.0 and true are one, and the order of keys is nothing.
    return one is not None and json.dumps([one.fields, one.bodies]) == json.dumps(
        [other.fields, other.bodies]
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class _Writing:
    """Changes on their way into the database, each tried, so that everything that is refused is named."""

    def __init__(self, organization: Organization, folder: Folder) -> None:
        self._organization = organization
        self._folder = folder
        self._kinds = {kind.name: kind for kind in folder.kinds}
        self.problems: list[FileProblem] = []

    def write(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.after is not None:
                kind = self._kinds[change.kind]
                self.tried(kind, change.key, partial(kind.save, self._organization, change.key, change.after))
        for change in reversed(changes):
            if change.after is None:
                kind = self._kinds[change.kind]
                self.tried(kind, change.key, partial(kind.delete, self._organization, change.key))

    def drafts(self) -> Iterator[tuple[Kind, str]]:
        """The entries of the folder whose draft is not in use."""
        for kind in self._folder.kinds:
            for key in kind.unpublished(self._organization):
                if key in self._folder.entries[kind.name]:
                    yield kind, key

    def tried(self, kind: Kind, key: str, act: Callable[[], None]) -> None:
        try:
            with transaction.atomic():
                act()
        except CastCommError as error:
            found = getattr(error, "problems", None) or [Problem(error.attr or "", error.message)]
            self.problems += [self._placed(kind, key, one) for one in found]

    def _placed(self, kind: Kind, key: str, problem: Problem) -> FileProblem:
        given = self._folder.entries[kind.name].get(key)
        if given is None:
            return FileProblem(f"{kind.name}/{key}", problem.message, field=problem.path)
        return given.problem(kind, problem.path, problem.message)
