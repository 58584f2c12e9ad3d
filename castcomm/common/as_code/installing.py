"""Ready-made entries from a folder that comes with CastComm: what is missing is added, what is there stays."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from castcomm.common.as_code.documents import Folder
from castcomm.common.as_code.planning import same_documents

if TYPE_CHECKING:
    from accounts.models import Organization


class Found(enum.Enum):
    """What became of a ready-made entry."""

    ADDED = "added"
    AS_IT_COMES = "as it comes"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Installed:
    """One ready-made entry; ``name`` is such as ``templates/welcome``."""

    name: str
    found: Found


def install(
    *, organization: Organization, folder: Folder, only: Collection[str] | None = None
) -> list[Installed]:
    """Add and publish the entries that are missing: all, or those of ``only`` with what they refer to."""
    wanted = None if only is None else _with_needs(folder, only)
    done: list[Installed] = []
    with transaction.atomic():
        for kind in folder.kinds:
            documents = folder.documents[kind.name]
            keys = [key for key in kind.in_order(documents) if wanted is None or (kind.name, key) in wanted]
            there = kind.current(organization) if keys else {}
            for key in keys:
                name = f"{kind.name}/{key}"
                if key in there:
                    is_same = same_documents(kind.normal(there[key]), documents[key])
                    done.append(Installed(name, Found.AS_IT_COMES if is_same else Found.CHANGED))
                    continue
                kind.save(organization, key, documents[key])
                if key in kind.unpublished(organization):
                    kind.publish(organization, key)
                done.append(Installed(name, Found.ADDED))
    return done


def _with_needs(folder: Folder, only: Collection[str]) -> set[tuple[str, str]]:
    """The entries that ``only`` names, as ``welcome`` or ``templates/welcome``, and all that those refer to."""
    kinds = {kind.name: kind for kind in folder.kinds}
    pending = list(_named(folder, only))
    found: set[tuple[str, str]] = set()
    while pending:
        name, key = pending.pop()
        if (name, key) in found or key not in folder.entries.get(name, {}):
            continue
        found.add((name, key))
        pending += kinds[name].needs(folder.documents[name][key])
    return found


def _named(folder: Folder, only: Collection[str]) -> Iterator[tuple[str, str]]:
    for kind, entries in folder.entries.items():
        yield from ((kind, key) for key in entries if key in only or f"{kind}/{key}" in only)


def names_of(folder: Folder) -> Sequence[str]:
    """Each entry of the folder, as ``templates/welcome``."""
    return [f"{kind}/{key}" for kind, entries in folder.entries.items() for key in entries]
