"""Steps inside steps, ids, ``when`` and ``next``: what is refused, and the way that a run takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from accounts.models import Organization, User
from workflows.definition import (
    all_places,
    definition_schema,
    place_after,
    place_at,
    validate_definition,
)
from workflows.errors import DefinitionInvalid
from workflows.models import StepRun, Workflow
from workflows.services.executions import cancel_execution
from workflows.services.triggering import trigger_workflow

PAUSE = {"type": "delay", "duration": 60_000}


def pause(**fields: Any) -> dict[str, Any]:
    return {"type": "delay", "duration": 0, **fields}


def branch(*lists: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    ways = [{"name": f"way {n}", "when": f"way == {n}", "steps": steps} for n, steps in enumerate(lists)]
    return {"type": "branch", "branches": ways, **fields}


def flow(*steps: Any, **fields: Any) -> dict[str, Any]:
    return {"name": "Flow", "type": "flow", "steps": list(steps), **fields}


NESTED = flow(
    pause(),
    branch([pause(), branch([pause(id="deep")])], [], otherwise=[pause(), {"type": "stop"}]),
    {"type": "condition", "check": "true", "otherwise": [pause(next="end"), pause(when="later")]},
    pause(),
    pause(id="end"),
)


def problems(definition: Any) -> dict[str, str]:
    with pytest.raises(DefinitionInvalid) as caught:
        validate_definition(definition)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_every_step_has_a_path_into_the_json() -> None:
    validate_definition(flow(*NESTED["steps"][:2], *NESTED["steps"][3:]))
    jsonschema.validate(NESTED, definition_schema())
    paths = [place.path for place in all_places(NESTED)]
    assert paths == [
        "0", "1", "1.branches.0.steps.0", "1.branches.0.steps.1",
        "1.branches.0.steps.1.branches.0.steps.0", "1.otherwise.0", "1.otherwise.1", "2", "2.otherwise.0",
        "2.otherwise.1", "3", "4",
    ]  # fmt: skip
    assert [place_at(NESTED, path).path for path in paths] == paths
    with pytest.raises(LookupError):
        place_at(NESTED, "1.branches.0")


@pytest.mark.parametrize(
    ("path", "follows"),
    [
        ("0", "1"),
        ("1.branches.0.steps.0", "1.branches.0.steps.1"),
        ("1.branches.0.steps.1.branches.0.steps.0", "2"),
        ("1.otherwise.0", "1.otherwise.1"),
        ("2", "3"),
        ("2.otherwise.0", "4"),
        ("4", None),
    ],
)
def test_behind_the_last_step_of_a_list_follows_what_is_behind_its_step(
    path: str, follows: str | None
) -> None:
    after = place_after(NESTED, path)
    assert (after.path if after else None) == follows


@pytest.mark.parametrize(
    ("steps", "where", "says"),
    [
        ([pause(id="a"), pause(id="a")], "steps.1.id", "taken by steps.0"),
        ([pause(id="2nd")], "steps.0.id", "begins with a letter"),
        ([pause(next="b")], "steps.0.next", "no step with the id 'b'"),
        ([pause(id="a"), pause(next="a")], "steps.1.next", "goes back to steps.0, a cycle"),
        ([pause(id="a", next="a")], "steps.0.next", "a cycle"),
        ([pause(next="in"), branch([pause(id="in")])], "steps.0.next", "into another step's list"),
        ([pause(next="b"), pause(), pause(id="b")], "steps.1", "No way leads"),
        ([{"type": "stop"}, pause()], "steps.1", "No way leads"),
        ([branch([{"type": "stop"}], otherwise=[{"type": "stop"}]), pause()], "steps.1", "No way leads"),
        ([branch([{"type": "stop"}, branch([pause()])])], "steps.0.branches.0.steps.1", "No way leads"),
        ([branch([5])], "steps.0.branches.0.steps.0", "an object"),
        ([branch([pause(duration=-1)])], "steps.0.branches.0.steps.0.duration", "at least 0"),
        ([branch([{"type": "loop"}])], "steps.0.branches.0.steps.0.type", "no step type 'loop'"),
        ([branch([], next="")], "steps.0.next", "begins with a letter"),
        ([branch([], otherwise=[pause()] * 150), pause(), *[pause()] * 60], "steps", "At most 200"),
        ([pause(when="1 +")], "steps.0.when", "ends too early"),
        ([{"type": "branch", "branches": [{"when": "(", "steps": []}]}], "steps.0.branches.0.when", "column"),
    ],
)  # fmt: skip
def test_a_way_that_cannot_be_gone_is_refused(steps: list[Any], where: str, says: str) -> None:
    found = problems(flow(*steps))
    assert list(found) == [where]
    assert says in found[where]


def test_steps_stand_eight_deep_at_most() -> None:
    steps = [pause()]
    for _ in range(7):
        steps = [branch(steps)]
    assert validate_definition(flow(*steps))
    [message] = problems(flow(branch(steps))).values()
    assert message == "Steps may stand at most 8 deep inside each other."


@pytest.mark.parametrize(
    ("fields", "where", "says"),
    [
        ({"critical": "yes"}, "critical", "true or false"),
        ({"variables": {"id": {"type": "uuid"}}}, "variables.id.type", "one of string, number"),
        ({"cancelOn": "gone"}, "cancelOn", "a list"),
        ({"trigger": {"type": "moon"}}, "trigger.type", "one of schedule, segment"),
        ({"trigger": {"type": "segment"}}, "trigger.segment", "required"),
        ({"trigger": {"type": "segment", "segment": "a"}, "triggerEvent": "b"}, "trigger", "not both"),
        (
            {"trigger": {"type": "schedule", "cron": "0 25 * * 1", "audience": "true"}},
            "trigger.cron",
            "Five fields",
        ),
        (
            {"trigger": {"type": "schedule", "cron": "0 9 * * 1", "timeZone": "Moon", "audience": "("}},
            "trigger.audience",
            "ends too early",
        ),
    ],
)
def test_the_fields_around_the_steps(fields: dict[str, Any], where: str, says: str) -> None:
    assert says in problems(flow(pause(), **fields))[where]


def test_a_full_frame_is_accepted() -> None:
    trigger = {"type": "schedule", "cron": "0 9 * * 1", "timeZone": "Europe/Berlin", "audience": "age > 3"}
    frame = {
        "critical": True,
        "variables": {"order_id": {"type": "string", "required": True, "description": "The order."}},
        "cancelOn": ["order.cancelled"],
        "trigger": trigger,
    }
    assert validate_definition(flow(pause(), **frame))
    jsonschema.validate(flow(pause(), **frame), definition_schema())


def gone(
    workflow: Workflow, person: User, pass_time: Callable[..., int], **data: Any
) -> list[tuple[str, str]]:
    """The steps that a run with this data takes, and what became of each."""
    execution = trigger_workflow(
        organization=workflow.organization, workflow=workflow.key, user=person, data=data
    )
    pass_time(seconds=1)
    return list(StepRun.objects.filter(execution=execution).values_list("path", "status"))


def test_a_run_takes_the_first_way_that_is_open_and_goes_on_behind(
    make_workflow: Callable[..., Workflow], person: User, pass_time: Callable[..., int]
) -> None:
    workflow = make_workflow(
        branch([pause()], [pause(id="second"), pause(when="steps.second.result.duration_ms == 1")]),
        pause(when="more"),
        pause(id="last"),
    )
    done, skipped = "done", "skipped"
    assert gone(workflow, person, pass_time, way=0, more=True) == [
        ("0", done), ("0.branches.0.steps.0", done), ("1", done), ("2", done),
    ]  # fmt: skip
    assert gone(workflow, person, pass_time, way=1) == [
        ("0", done), ("0.branches.1.steps.0", done), ("0.branches.1.steps.1", skipped), ("1", skipped),
        ("2", done),
    ]  # fmt: skip
    assert gone(workflow, person, pass_time, way=7, more=False) == [("0", done), ("1", skipped), ("2", done)]
    step = StepRun.objects.filter(path="1", status=skipped).latest("created_at")
    assert step.result is not None
    assert step.result["skipped"] == "The condition 'more' is false."


def test_a_jump_leaves_out_what_is_between_unless_its_step_was_skipped(
    make_workflow: Callable[..., Workflow], person: User, pass_time: Callable[..., int]
) -> None:
    workflow = make_workflow(
        branch([pause(next="end", when="jump"), pause()], [], otherwise=[]), pause(), pause(id="end")
    )
    inside = "0.branches.0.steps"
    assert [path for path, _ in gone(workflow, person, pass_time, way=0, jump=True)] == [
        "0",
        f"{inside}.0",
        "2",
    ]
    assert [path for path, _ in gone(workflow, person, pass_time, way=0)] == [
        "0", f"{inside}.0", f"{inside}.1", "1", "2",
    ]  # fmt: skip
    assert [path for path, _ in gone(workflow, person, pass_time, way=1)] == ["0", "1", "2"]


def test_a_cancel_names_the_nested_steps(
    make_workflow: Callable[..., Workflow], organization: Organization, person: User,
    pass_time: Callable[..., int],
) -> None:  # fmt: skip
    make_workflow(branch([PAUSE, pause()]), {"type": "condition", "check": "x", "otherwise": [pause()]})
    execution = trigger_workflow(organization=organization, workflow="flow", user=person, data={"way": 0})
    pass_time(seconds=1)
    stopped = cancel_execution(execution=execution)
    assert stopped.stopped == ["0.branches.0.steps.0"]
    assert stopped.done == ["0"]
    assert stopped.never_begun == ["0.branches.0.steps.1", "1", "1.otherwise.0"]
