"""What a kind of thing must say of itself to be kept as files."""

from __future__ import annotations

import importlib
import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from castcomm.common.problems import Problem
from castcomm.common.registry import Registry

if TYPE_CHECKING:
    from accounts.models import Organization

NO_BODIES = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Document:
    """One entry: plain values without those that are the default, and longer texts by the names of their files."""

    fields: Mapping[str, Any]
    bodies: Mapping[str, str] = field(default_factory=dict)


class Kind(ABC):
    """One kind of thing. One instance serves all: keep no state on it.

    ``name`` is that of the file (``caps.yaml``) that holds all its entries or, where ``document`` names an entry's own
    file, of the folder with a folder per entry (``templates/welcome/template.yaml``). ``schema`` is the JSON Schema
    (2020-12) of an entry's fields; a property's ``default`` is what leaving it out means. Kinds are written in the
    order of ``position`` and deleted in the other: what refers to another kind has the higher one.
    """

    name: ClassVar[str]
    position: ClassVar[int]
    schema: ClassVar[Mapping[str, Any]]
    key_pattern: ClassVar[re.Pattern[str]]
    document: ClassVar[str] = ""
    body_names: ClassVar[re.Pattern[str]] = NO_BODIES

    @abstractmethod
    def current(self, organization: Organization) -> Mapping[str, Document]:
        """What the organization has, by key, as ``normal`` gives it."""

    @abstractmethod
    def save(self, organization: Organization, key: str, document: Document) -> None:
        """Make or change an entry through the services that staff use; raises their errors."""

    @abstractmethod
    def delete(self, organization: Organization, key: str) -> None:
        """Remove an entry; raises Conflict where it must stay."""

    def normal(self, document: Document) -> Document:
        """The one way to say what ``document`` says: in the schema's order, without defaults and empty bodies."""
        properties = self.schema["properties"]
        fields = {
            name: document.fields[name]
            for name, said in properties.items()
            if name in document.fields
            and not ("default" in said and _same(document.fields[name], said["default"]))
        }
        return Document(fields, {name: text for name, text in sorted(document.bodies.items()) if text})

    def full(self, document: Document) -> dict[str, Any]:
        """The fields, with the defaults of those that are left out."""
        defaults = {
            name: said["default"] for name, said in self.schema["properties"].items() if "default" in said
        }
        return {**defaults, **document.fields}

    def problems(self, key: str, document: Document) -> Iterator[Problem]:
        """What the schema cannot say, without a look at the database."""
        yield from ()

    def in_order(self, documents: Mapping[str, Document]) -> Sequence[str]:
        """The keys in the order in which they can be made; they are deleted in the other."""
        return sorted(documents)

    def needs(self, document: Document) -> Iterator[tuple[str, str]]:
        """The entries (kind, key) that the document refers to."""
        yield from ()

    def is_built_in(self, key: str) -> bool:
        """Whether the entry stays although no file has it."""
        return False

    def unpublished(self, organization: Organization) -> Sequence[str]:
        """The keys of entries whose draft is not what is in use, in the order in which they can be published."""
        return ()

    def publish(self, organization: Organization, key: str) -> None:
        """Make the draft what is in use; raises the errors of the service."""
        raise NotImplementedError(f"{self.name} have no drafts")

    def body_of(self, attr: str) -> str:
        """The body that a service's error is about, by its ``attr``; empty: it is about a field."""
        return ""


def _same(one: Any, other: Any) -> bool:
    # 1 and true are equal in Python; in a file they are not.
    return type(one) is type(other) and bool(one == other)


def stored(value: Any) -> Any:
    """Plain values as PostgreSQL's ``jsonb`` gives them back, with sorted keys: it keeps no order of its own."""
    if isinstance(value, Mapping):
        return {name: stored(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [stored(one) for one in value]
    if isinstance(value, float):
        # It writes numbers out in full, and knows no negative zero.
        return int(value) if abs(value) >= 1e16 else value + 0.0
    return value


kinds: Registry[Kind] = Registry("kind")
KindClass = TypeVar("KindClass", bound=type[Kind])
_packages: list[str] = []


def register(kind_class: KindClass) -> KindClass:
    """Class decorator: make the kind known under its name."""
    kinds.register(kind_class.name, kind_class())
    return kind_class


def look_for_kinds_in(package: str) -> None:
    """Name a package each of whose modules may register kinds; call it from ``AppConfig.ready``."""
    if package not in _packages:
        _packages.append(package)


def all_kinds() -> list[Kind]:
    """Every kind of every app, in the order in which they are written."""
    for name in _packages:
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{name}.{module.name}")
    return sorted((kind for _, kind in kinds.items()), key=lambda kind: kind.position)
