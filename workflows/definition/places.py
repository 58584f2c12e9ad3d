"""Steps and where they stand: nested lists walked in the order in which they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.steps.base import step_types


@dataclass(frozen=True, slots=True)
class Place:
    """A step and where it stands."""

    path: str
    step: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.step["type"])

    @property
    def id(self) -> str:
        """The step's own id, else empty."""
        return str(self.step.get("id", ""))

    @property
    def list_path(self) -> str:
        """The list that the step stands in; empty for the outermost."""
        return self.path.rpartition(".")[0]


def all_places(definition: Mapping[str, Any]) -> list[Place]:
    """Every step, each followed by the steps inside it: the order of the definition."""
    return list(_walk(definition["steps"], ""))


def first_place(definition: Mapping[str, Any]) -> Place:
    """Where an execution begins."""
    return Place("0", definition["steps"][0])


def place_at(definition: Mapping[str, Any], path: str) -> Place:
    """The step under ``path``; raises LookupError when there is none."""
    found = _value_at(definition["steps"], path)
    if not _is_step(found):
        raise LookupError(f"There is no step at {path!r}.")
    return Place(path, found)


def first_in(definition: Mapping[str, Any], list_path: str) -> Place | None:
    """The first step of a nested list such as ``3.branches.0.steps``, or None when the list is empty."""
    steps = _value_at(definition["steps"], list_path)
    return Place(f"{list_path}.0", steps[0]) if steps else None


def place_after(definition: Mapping[str, Any], path: str, *, skipped: bool = False) -> Place | None:
    """The step that follows when the one under ``path`` is done, or None at the end.

    That is the one its ``next`` names (unless it was skipped), else the next of its list; after the last of a
    nested list it is what follows the step that the list belongs to.
    """
    place: Place | None = place_at(definition, path)
    while place is not None:
        if "next" in place.step and not skipped:
            return place_of_id(definition, place.step["next"])
        sibling = place_beside(definition, place)
        if sibling is not None:
            return sibling
        place, skipped = owner_of(definition, place), False
    return None


def place_beside(definition: Mapping[str, Any], place: Place) -> Place | None:
    """The next step of the same list, or None for the last."""
    steps = _value_at(definition["steps"], place.list_path)
    index = int(place.path.rpartition(".")[2]) + 1
    if index >= len(steps):
        return None
    return Place(f"{place.list_path}.{index}".lstrip("."), steps[index])


def owner_of(definition: Mapping[str, Any], place: Place) -> Place | None:
    """The step inside which ``place`` stands, or None for a step of the outermost list."""
    above = place.list_path
    while above:
        above = above.rpartition(".")[0]
        found = _value_at(definition["steps"], above)
        # Branches and variants are objects too, but only steps have a type.
        if above and _is_step(found):
            return Place(above, found)
    return None


def place_of_id(definition: Mapping[str, Any], step_id: str) -> Place | None:
    """The step with this id, or None."""
    return next((place for place in _walk(definition["steps"], "") if place.id == step_id), None)


def places_by_id(definition: Mapping[str, Any]) -> dict[str, Place]:
    """The steps that have an id of their own."""
    return {place.id: place for place in _walk(definition["steps"], "") if place.id}


def child_lists(step: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """The lists of steps inside ``step`` with their paths relative to it, as its type declares them.

    Forgiving: whatever has not the right shape has no lists.
    """
    kind = step.get("type")
    if not isinstance(kind, str) or kind not in step_types:
        return
    for pattern in step_types.get(kind).lists:
        yield from _matches(step, pattern.split("."), "")


def _matches(value: Any, pattern: Sequence[str], path: str) -> Iterator[tuple[str, Sequence[Any]]]:
    if not pattern:
        if isinstance(value, list):
            yield path.lstrip("."), value
    elif pattern[0] == "*":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _matches(item, pattern[1:], f"{path}.{index}")
    elif isinstance(value, Mapping) and pattern[0] in value:
        yield from _matches(value[pattern[0]], pattern[1:], f"{path}.{pattern[0]}")


def _walk(steps: Sequence[Mapping[str, Any]], prefix: str) -> Iterator[Place]:
    for index, step in enumerate(steps):
        path = f"{prefix}{index}"
        yield Place(path, step)
        for list_path, children in child_lists(step):
            yield from _walk(children, f"{path}.{list_path}.")


def _value_at(value: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _is_step(value: Any) -> bool:
    return isinstance(value, Mapping) and "type" in value
