"""Ids and ways: jumps lead forward to a step that is there, and there is a way to each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workflows.definition.places import Place, all_places, child_lists, owner_of, place_after
from workflows.errors import Problem
from workflows.steps.base import step_types


def flow_problems(definition: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the ids and jumps of a definition whose steps fit their schemas."""
    places = all_places(definition)
    found = [*_taken_ids(places), *_bad_jumps(definition, places)]
    yield from found
    if not found:
        reached = _reached(definition, places)
        for place in places:
            # Inside a step that nobody reaches, one sentence is enough.
            owner = owner_of(definition, place)
            if place.path not in reached and (owner is None or owner.path in reached):
                yield Problem(f"steps.{place.path}", "No way leads to this step.")


def _taken_ids(places: Sequence[Place]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for place in places:
        if place.id and seen.setdefault(place.id, place.path) != place.path:
            message = f"The id {place.id!r} is taken by steps.{seen[place.id]}."
            yield Problem(f"steps.{place.path}.id", message)


def _bad_jumps(definition: Mapping[str, Any], places: Sequence[Place]) -> Iterator[Problem]:
    order = {place.path: number for number, place in enumerate(places)}
    by_id = {place.id: place for place in reversed(places) if place.id}
    for place in places:
        if "next" not in place.step:
            continue
        target = by_id.get(place.step["next"])
        where = f"steps.{place.path}.next"
        if target is None:
            yield Problem(where, f"There is no step with the id {place.step['next']!r}.")
        elif order[target.path] <= order[place.path]:
            yield Problem(
                where,
                f"This goes back to steps.{target.path}, a cycle. A jump leads to a later step.",
            )
        elif target.list_path not in _lists_around(definition, place):
            yield Problem(
                where,
                f"A jump cannot lead into another step's list (steps.{target.list_path}); "
                "it leads on in its own list or out of it.",
            )


def _lists_around(definition: Mapping[str, Any], place: Place) -> set[str]:
    around = {place.list_path}
    owner = owner_of(definition, place)
    while owner is not None:
        around.add(owner.list_path)
        owner = owner_of(definition, owner)
    return around


def _reached(definition: Mapping[str, Any], places: Sequence[Place]) -> set[str]:
    """The paths of the steps that some run can come to.

    Jumps lead forward, and what follows a nested list stands behind it: one pass in order is enough.
    """
    reached = {places[0].path}
    for place in places:
        if place.path in reached:
            inside = child_lists(place.step)
            reached |= {f"{place.path}.{list_path}.0" for list_path, steps in inside if steps}
            reached |= {follows.path for follows in _exits(definition, place)}
    return reached


def _exits(definition: Mapping[str, Any], place: Place) -> Iterator[Place]:
    """What follows when the step itself is done or skipped (what is inside it aside)."""
    ways = [False] if step_types.get(place.type).passes(place.step) else []
    for skipped in [*ways, *([True] if "when" in place.step else [])]:
        follows = place_after(definition, place.path, skipped=skipped)
        if follows is not None:
            yield follows
