"""Two definitions side by side: which step of one is which of the other, and what is different. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workflows.definition.places import Place, all_places


@dataclass(frozen=True, slots=True)
class StepChange:
    """``change`` is added, removed, changed or moved; ``before`` and ``after`` are paths, empty where there is none."""

    change: str
    type: str
    name: str
    before: str
    after: str


def match_places(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Place]:
    """For each path of ``before`` the step of ``after`` that it goes on as; a path that has none is left out.

    A step with an id is the one with the same id. One without is the same step at the same path, else the first that
    says exactly the same, else what stands at its path. Both are of one type, and no two become one.
    """
    earlier, later = all_places(before), all_places(after)
    found: dict[str, Place] = {}
    taken: set[str] = set()
    for fits in (_same_id, _same_place, _same_words, _same_path):
        for place in earlier:
            if place.path in found:
                continue
            match = next((one for one in later if one.path not in taken and fits(place, one)), None)
            if match is not None:
                found[place.path] = match
                taken.add(match.path)
    return found


def _same_id(place: Place, other: Place) -> bool:
    return bool(place.id) and place.id == other.id and place.type == other.type


def _same_place(place: Place, other: Place) -> bool:
    return _same_words(place, other) and place.path == other.path


def _same_words(place: Place, other: Place) -> bool:
    return not place.id and place.step == other.step


def _same_path(place: Place, other: Place) -> bool:
    return not place.id and not other.id and place.path == other.path and place.type == other.type


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[StepChange]:
    """What happened to the steps, in the order of ``after``; what was removed comes last."""
    origins = {place.path: path for path, place in match_places(before, after).items()}
    earlier = {place.path: place for place in all_places(before)}
    changes = []
    for place in all_places(after):
        origin = earlier.get(origins.get(place.path, ""))
        if origin is None:
            changes.append(_change("added", place, "", place.path))
        elif _own_fields(origin) != _own_fields(place):
            changes.append(_change("changed", place, origin.path, place.path))
        elif origin.path != place.path:
            changes.append(_change("moved", place, origin.path, place.path))
    kept = set(origins.values())
    changes += [_change("removed", place, path, "") for path, place in earlier.items() if path not in kept]
    return changes


def text_diff(before: Mapping[str, Any], after: Mapping[str, Any], *, names: tuple[str, str]) -> str:
    """Both as indented JSON, as a unified diff; empty when they say the same."""
    old, new = (json.dumps(one, indent=2, ensure_ascii=False).splitlines() for one in (before, after))
    return "\n".join(difflib.unified_diff(old, new, *names, lineterm=""))


def _own_fields(place: Place) -> dict[str, Any]:
    """The step without the steps inside it, which are compared by themselves."""
    return {key: _without_steps(value) for key, value in place.step.items() if not _is_list_of_steps(value)}


def _without_steps(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_steps(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _without_steps(one) for key, one in value.items() if not _is_list_of_steps(one)}
    return value


def _is_list_of_steps(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) and "type" in one for one in value)


def _change(change: str, place: Place, before: str, after: str) -> StepChange:
    return StepChange(change, place.type, str(place.step.get("name", "")), before, after)
