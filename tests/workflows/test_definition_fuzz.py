"""Random definitions: checking them names problems and never breaks, and what is accepted can be gone through."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflows.definition import (
    Place,
    all_places,
    definition_schema,
    first_in,
    place_after,
    validate_definition,
)
from workflows.definition.places import child_lists
from workflows.errors import DefinitionInvalid
from workflows.steps.base import step_types

IDS = st.sampled_from(["a", "b", "c", "d"])
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.text(max_size=6) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
WHEN = st.sampled_from(["x < 3", "data.y", "true", "x <"])
LEAF = st.one_of(
    st.just({"type": "delay", "duration": 0}),
    st.just({"type": "stop"}),
    st.fixed_dictionaries({"type": st.just("condition"), "check": WHEN}),
)


def nested(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(steps, max_size=3)
    way = st.fixed_dictionaries({"when": WHEN, "steps": lists})
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("branch"), "branches": st.lists(way, min_size=1, max_size=2)},
            optional={"otherwise": lists, "id": IDS, "next": IDS, "when": WHEN},
        ),
        st.fixed_dictionaries(
            {"type": st.just("wait_for_event"), "event": st.just("e"), "timeout": st.just("P1D")},
            optional={"then": lists, "onTimeout": lists, "id": IDS, "next": IDS},
        ),
    )


STEP = st.recursive(
    st.builds(
        lambda step, more: {**step, **more},
        LEAF,
        st.fixed_dictionaries({}, optional={"id": IDS, "next": IDS}),
    ),
    nested,
    max_leaves=8,
)
ANY_STEP = STEP | st.fixed_dictionaries(
    {"type": st.sampled_from([*step_types]) | ODD},
    optional={"steps": ODD, "branches": ODD, "otherwise": ODD, "set": ODD},
)


def follow(definition: dict[str, Any], places: list[Place], choose: random.Random) -> list[str]:
    """The paths that a run could take, by chance."""
    order = [place.path for place in places]
    at: Place | None = places[0]
    gone = []
    while at is not None:
        gone.append(at.path)
        ways = [place_after(definition, at.path, skipped=skipped) for skipped in (False, True)]
        ways += [first_in(definition, f"{at.path}.{inner}") for inner, steps in child_lists(at.step) if steps]
        following = choose.choice(ways)
        assert following is None or order.index(following.path) > order.index(at.path)
        at = following
    return gone


def problems_of(definition: Any) -> list[str]:
    try:
        validate_definition(definition)
    except DefinitionInvalid as error:
        return [problem.message for problem in error.problems]
    return []


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(ANY_STEP, min_size=1, max_size=5),
    st.dictionaries(st.text(max_size=8), ODD, max_size=2),
    st.randoms(),
)
def test_a_random_definition_is_refused_with_paths_or_can_be_gone_through(
    steps: list[Any], more: dict[str, Any], choose: random.Random
) -> None:
    definition = {"name": "Random", "type": "random", "steps": steps, **more}
    refused = problems_of(definition)
    assert all(message.endswith((".", ")")) for message in refused)
    if refused:
        return
    places = all_places(definition)
    assert len(follow(definition, places, choose)) <= len(places)


@settings(max_examples=50, deadline=None)
@given(ODD)
def test_what_is_no_definition_is_refused(value: Any) -> None:
    assert problems_of(value)


def test_the_schema_knows_every_step_type() -> None:
    known = {one["properties"]["type"]["const"] for one in definition_schema()["$defs"]["step"]["oneOf"]}
    assert known == set(step_types)
