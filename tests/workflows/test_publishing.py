"""Publishing with a choice for the runs under way: what it would change, moving them, versions and going back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.errors import NotFound
from workflows.definition import all_places
from workflows.definition.comparing import compare, match_places, text_diff
from workflows.errors import DefinitionInvalid
from workflows.models import Execution, StepRun, Workflow
from workflows.services.drafts import update_workflow
from workflows.services.impact import impact_of
from workflows.services.moving import Running, Unmapped
from workflows.services.publishing import publish_and_move, publish_workflow, roll_back
from workflows.services.triggering import report_event

MakeWorkflow = Callable[..., Workflow]
WAIT = {"type": "delay", "duration": 86_400_000, "id": "wait"}
STOP = {"type": "stop", "reason": "done"}


def write(workflow: Workflow, *steps: dict[str, Any], **top: Any) -> Workflow:
    update_workflow(workflow=workflow, definition={**workflow.definition, "steps": list(steps), **top})
    workflow.refresh_from_db()
    return workflow


def definition(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"name": "x", "type": "x", "steps": list(steps)}


def test_steps_are_matched_by_id_by_place_and_by_what_they_say() -> None:
    plain = {"type": "delay", "duration": 5}
    before = definition(WAIT, plain, {"type": "condition", "check": "a", "otherwise": [STOP]}, STOP)
    after = definition(
        {"type": "email", "template": "new"},
        {"type": "condition", "check": "b", "otherwise": [STOP, WAIT]},
        plain,
        {"type": "stop", "reason": "another"},
    )
    found = {path: place.path for path, place in match_places(before, after).items()}
    assert found == {"0": "1.otherwise.1", "1": "2", "2.otherwise.0": "1.otherwise.0", "3": "3"}
    told = {(one.change, one.before, one.after) for one in compare(before, after)}
    assert told == {
        ("added", "", "0"),
        ("added", "", "1"),
        ("moved", "2.otherwise.0", "1.otherwise.0"),
        ("moved", "0", "1.otherwise.1"),
        ("moved", "1", "2"),
        ("changed", "3", "3"),
        ("removed", "2", ""),
    }
    assert text_diff(before, before, names=("a", "b")) == ""
    assert '+      "template": "new"' in text_diff(before, after, names=("a", "b"))


STEPS = st.lists(
    st.sampled_from([WAIT | {"id": "a"}, WAIT | {"id": "b"}, STOP, {"type": "delay", "duration": 5}]),
    min_size=1,
    unique_by=repr,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, STEPS)
def test_a_step_goes_on_as_one_of_its_own_type_and_nothing_is_told_twice(before: Any, after: Any) -> None:
    old, new = definition(*before), definition(*after)
    types = {place.path: place.type for place in all_places(old)}
    assert all(types[path] == place.type for path, place in match_places(old, new).items())
    changes = compare(old, new)
    assert len({(one.before, one.after) for one in changes}) == len(changes)
    assert compare(new, new) == []


def state(execution: Execution) -> tuple[Any, ...]:
    execution.refresh_from_db()
    waiting = StepRun.objects.filter(execution=execution, status="waiting").values_list("path", flat=True)
    return execution.status, execution.version.number, list(waiting)


@pytest.mark.django_db
class TestRuns:
    def test_they_stay_unless_something_else_is_chosen(self, under_way: tuple[Workflow, Execution]) -> None:
        workflow, execution = under_way
        done = publish_and_move(workflow=write(workflow, STOP))
        assert (done.version.number, done.is_new, done.moved.stayed) == (2, True, 1)
        assert state(execution) == ("running", 1, ["1"])

    def test_they_go_on_in_the_new_version_at_the_step_with_the_same_id(
        self, under_way: tuple[Workflow, Execution], pass_time: Callable[..., int]
    ) -> None:
        workflow, execution = under_way
        draft = write(workflow, WAIT, {"type": "stop", "reason": "the new end"})
        due_at = StepRun.objects.get(execution=execution, status="waiting").due_at
        done = publish_and_move(workflow=draft, running=Running.MIGRATE)
        assert (done.moved.migrated, done.moved.unmapped) == (1, {})
        assert state(execution) == ("running", 2, ["0"])
        assert StepRun.objects.get(execution=execution, status="waiting").due_at == due_at
        pass_time(days=2)
        assert state(execution)[0] == "stopped"
        assert execution.reason == "the new end"

    @pytest.mark.parametrize(
        ("unmapped", "ends"),
        [(Unmapped.STAY, ("running", 1, ["1"])), (Unmapped.CANCEL, ("cancelled", 1, []))],
    )
    def test_a_step_that_is_gone(
        self, under_way: tuple[Workflow, Execution], unmapped: Unmapped, ends: tuple[Any, ...]
    ) -> None:
        workflow, execution = under_way
        done = publish_and_move(workflow=write(workflow, STOP), running=Running.MIGRATE, unmapped=unmapped)
        assert done.moved.unmapped == {"1": 1}
        assert (done.moved.stayed, done.moved.cancelled) == ((1, 0) if unmapped == "stay" else (0, 1))
        assert state(execution) == ends

    def test_they_can_be_cancelled(self, under_way: tuple[Workflow, Execution]) -> None:
        workflow, execution = under_way
        done = publish_and_move(workflow=write(workflow, STOP), running=Running.CANCEL)
        assert (done.moved.cancelled, state(execution)) == (1, ("cancelled", 1, []))
        assert execution.reason == "Version 2 was published."

    def test_a_draft_that_is_refused_moves_nothing(self, under_way: tuple[Workflow, Execution]) -> None:
        workflow, execution = under_way
        draft = write(workflow, {"type": "email", "template": "nowhere"})
        with pytest.raises(DefinitionInvalid):
            publish_and_move(workflow=draft, running=Running.CANCEL)
        assert state(execution) == ("running", 1, ["1"])

    def test_going_back_is_a_new_version(self, under_way: tuple[Workflow, Execution]) -> None:
        workflow, execution = under_way
        first = workflow.definition
        publish_workflow(workflow=write(workflow, STOP))
        done = roll_back(workflow=workflow, number=1, running=Running.MIGRATE)
        workflow.refresh_from_db()
        assert (done.version.number, workflow.definition, workflow.current_version_id) == (
            3,
            first,
            done.version.id,
        )
        assert state(execution) == ("running", 3, ["1"])
        with pytest.raises(NotFound):
            roll_back(workflow=workflow, number=9)

    def test_the_impact_says_all_that_beforehand(
        self, under_way: tuple[Workflow, Execution], organization: Organization, person: User
    ) -> None:
        workflow, _ = under_way
        for _ in range(2):
            report_event(organization=organization, event="ordered", user=person)
        draft = write(workflow, WAIT, {"type": "email", "template": "nowhere"}, triggerEvent="ordered")
        told = impact_of(draft)
        assert told["problems"] == [
            {"path": "steps.1.template", "message": "There is no published template 'nowhere'."}
        ]
        assert told["running"] == [
            {"version": 1, "path": "1", "type": "delay", "count": 1, "goes_on_at": "0"}
        ]
        assert {one.change for one in told["steps"]} == {"moved", "added", "removed"}
        assert (told["reached"]["events"], told["reached"]["people"]) == (2, 1)


@pytest.mark.django_db
def test_over_the_api(
    api_client: Callable[..., APIClient], owner: User, member: User, under_way: tuple[Workflow, Execution]
) -> None:
    workflow, execution = under_way
    client, address = api_client(owner), "/api/v1/workflows/flow"
    write(workflow, WAIT, STOP)
    told = client.get(f"{address}/impact").json()
    assert (told["is_changed"], told["running"][0]["goes_on_at"]) == (True, "0")
    assert client.post(f"{address}/publish", {"running": "somehow"}).status_code == 400
    told = client.post(f"{address}/publish", {"running": "migrate"}).json()
    assert (told["version"]["number"], told["is_new"], told["moved"]["migrated"]) == (2, True, 1)
    assert state(execution) == ("running", 2, ["0"])
    assert [one["number"] for one in client.get(f"{address}/versions").json()] == [2, 1]
    told = client.get(f"{address}/versions/1/diff", {"to": "2"}).json()
    assert {one["change"] for one in told["steps"]} == {"removed", "moved"}
    assert "--- version 1" in told["text"]
    assert client.get(f"{address}/versions/7/diff").status_code == 404
    assert client.get(f"{address}/versions/1/diff", {"to": "x"}).status_code == 400
    assert client.post(f"{address}/rollback", {"version": 1}).json()["version"]["number"] == 3
    assert api_client(member).get(f"{address}/impact").status_code == 403
