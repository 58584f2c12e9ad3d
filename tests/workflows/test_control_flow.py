"""Experiments, digests and awaited events: who goes which way, and what comes together."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import Conflict
from workflows.engine.claims import claim_due_steps
from workflows.errors import DefinitionInvalid
from workflows.models import Execution, ExperimentAssignment, RecordedEvent, StepRun, Workflow
from workflows.services.executions import cancel_execution
from workflows.services.pausing import pause_workflow, resume_workflow
from workflows.services.triggering import report_event, trigger_workflow
from workflows.steps.experiment import choose_variant

PassTime = Callable[..., int]
MakeWorkflow = Callable[..., Workflow]
DONE = {"type": "delay", "duration": 0}


@pytest.fixture
def start(organization: Organization, person: User) -> Callable[..., Execution]:
    def run(**data: Any) -> Execution:
        return trigger_workflow(organization=organization, workflow="flow", user=person, data=data)

    return run


def result(execution: Execution, path: str = "0") -> Any:
    return StepRun.objects.get(execution=execution, path=path).result


def paths(execution: Execution) -> list[str]:
    return list(StepRun.objects.filter(execution=execution).values_list("path", flat=True))


def status(execution: Execution) -> str:
    execution.refresh_from_db()
    return execution.status


class TestExperiment:
    STEP = {
        "type": "experiment",
        "key": "greeting",
        "variants": [
            {"name": "short", "weight": 1, "steps": [DONE]},
            {"name": "long", "weight": 3, "steps": [DONE, DONE]},
        ],
        "holdout": 0.2,
    }

    def test_shares_are_as_weighted_and_a_person_stays(self) -> None:
        import uuid

        people = [uuid.uuid5(uuid.NAMESPACE_OID, str(number)) for number in range(4000)]
        counts = Counter(choose_variant(self.STEP, person) for person in people)
        assert 700 < counts["holdout"] < 900
        assert 700 < counts["short"] < 900
        assert counts["long"] == 4000 - counts["holdout"] - counts["short"]
        more_held = {**self.STEP, "holdout": 0.5}
        kept = [choose_variant(more_held, person) for person in people]
        moved = [
            a for a, b in zip([choose_variant(self.STEP, p) for p in people], kept, strict=True) if a != b
        ]
        assert all(choice != "holdout" for choice in moved)

    def test_the_assignment_is_recorded_and_outlives_new_weights(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], person: User, pass_time: PassTime
    ) -> None:
        make_workflow(self.STEP, DONE)
        ExperimentAssignment.objects.create(
            organization_id=Workflow.objects.get().organization_id, experiment="greeting", user=person,
            variant="long", workflow=Workflow.objects.get(),
        )  # fmt: skip
        first = start()
        pass_time(seconds=1)
        assert paths(first) == ["0", "0.variants.1.steps.0", "0.variants.1.steps.1", "1"]
        assert result(first) == {"experiment": "greeting", "variant": "long"}
        assert ExperimentAssignment.objects.count() == 1

    def test_two_variants_of_one_name_are_refused(self, make_workflow: MakeWorkflow) -> None:
        step = {**self.STEP, "variants": [self.STEP["variants"][0]] * 2}  # type: ignore[index]
        with pytest.raises(DefinitionInvalid, match="Another variant"):
            make_workflow(step)


class TestDigest:
    def test_the_first_run_goes_on_with_what_all_brought(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], pass_time: PassTime
    ) -> None:
        make_workflow({"type": "digest", "window": "PT1H", "key": "thread"}, DONE)
        first, other, later = start(thread="a", n=1), start(thread="b", n=2), start(thread="a", n=3)
        pass_time(seconds=1)
        assert [status(one) for one in (first, other, later)] == ["running", "running", "digested"]
        assert str(first.id) in later.reason
        pass_time(hours=1, minutes=1)
        assert result(first) == {"items": [{"n": 1, "thread": "a"}, {"n": 3, "thread": "a"}], "count": 2}
        assert result(other)["count"] == 1
        assert status(first) == "completed"
        again = start(thread="a", n=4)
        pass_time(seconds=1)
        assert status(again) == "running"

    def test_a_full_window_closes_early(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], pass_time: PassTime
    ) -> None:
        make_workflow({"type": "digest", "window": "P1D", "limit": 3}, DONE)
        runs = [start(n=n) for n in range(4)]
        pass_time(seconds=1)
        assert [status(one) for one in runs] == ["completed", "digested", "digested", "running"]
        assert result(runs[0])["count"] == 3

    def test_a_sliding_window_moves_up_to_its_maximum(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], pass_time: PassTime
    ) -> None:
        make_workflow({"type": "digest", "mode": "sliding", "window": "PT10M", "max": "PT25M"})
        first = start(n=0)
        pass_time(seconds=1)
        for n in (1, 2):
            pass_time(minutes=8)
            start(n=n)
            pass_time(seconds=1)
        pass_time(minutes=8)
        assert status(first) == "running"
        pass_time(minutes=2)
        assert result(first)["count"] == 3

    def test_look_back_lets_the_first_pass(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], pass_time: PassTime
    ) -> None:
        make_workflow({"type": "digest", "mode": "lookback", "window": "PT1H"})
        first = start(n=1)
        pass_time(seconds=1)
        assert (status(first), result(first)["count"]) == ("completed", 1)
        second, third = start(n=2), start(n=3)
        pass_time(seconds=1)
        assert [status(second), status(third)] == ["running", "digested"]

    def test_a_scheduled_window_closes_at_the_persons_time(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], person: User, pass_time: PassTime
    ) -> None:
        User.objects.filter(id=person.id).update(time_zone="Asia/Tokyo")
        make_workflow({"type": "digest", "mode": "scheduled", "at": "09:00", "weekdays": [2]})
        execution = start(n=1)
        pass_time(seconds=1)
        due = StepRun.objects.get(execution=execution).due_at.astimezone(dt.timezone(dt.timedelta(hours=9)))
        assert (due.weekday(), due.strftime("%H:%M")) == (2, "09:00")

    def test_a_window_without_its_run_collects_no_more(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], pass_time: PassTime
    ) -> None:
        make_workflow({"type": "digest", "window": "PT1H"})
        first = start(n=1)
        pass_time(seconds=1)
        cancel_execution(execution=first)
        second = start(n=2)
        pass_time(seconds=1)
        assert status(second) == "running"


class TestWaitForEvent:
    STEP = {
        "type": "wait_for_event", "event": "order.paid", "match": "event.order == data.order",
        "timeout": "P2D", "then": [{**DONE, "id": "paid"}], "onTimeout": [{"type": "stop", "reason": "late"}],
    }  # fmt: skip

    def test_the_event_that_fits_lets_the_run_go_on(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], organization: Organization,
        person: User, pass_time: PassTime,
    ) -> None:  # fmt: skip
        make_workflow({**self.STEP, "onTimeout": []}, DONE)
        execution = start(order=7)
        pass_time(seconds=1)
        for order, woken in ((8, 0), ("seven", 0), (7, 1), (7, 0)):
            reported = report_event(
                organization=organization, event="order.paid", user=person, data={"order": order}
            )
            assert reported.woken == woken
        pass_time(seconds=1)
        assert status(execution) == "completed"
        assert paths(execution) == ["0", "0.then.0", "1"]
        assert result(execution) == {"event": "order.paid", "arrived": True, "data": {"order": 7}}

    def test_time_runs_out(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], organization: Organization,
        person: User, pass_time: PassTime,
    ) -> None:  # fmt: skip
        make_workflow(self.STEP)
        execution = start(order=7)
        pass_time(seconds=1)
        pass_time(days=2, minutes=1)
        assert (status(execution), execution.reason) == ("stopped", "late")
        late = report_event(organization=organization, event="order.paid", user=person, data={"order": 7})
        assert late.woken == 0

    @pytest.mark.parametrize(("since", "expected"), [("start", "completed"), ("step", "running")])
    def test_an_event_between_two_steps(
        self, make_workflow: MakeWorkflow, start: Callable[..., Execution], organization: Organization,
        person: User, pass_time: PassTime, since: str, expected: str,
    ) -> None:  # fmt: skip
        make_workflow({**DONE, "duration": 60_000}, {**self.STEP, "since": since})
        execution = start(order=7)
        report_event(organization=organization, event="order.paid", user=person, data={"order": 7})
        pass_time(seconds=1)
        pass_time(minutes=2)
        assert status(execution) == expected
        assert RecordedEvent.objects.filter(user=person, created_at__lte=now()).count() == 1


def test_an_event_can_end_the_runs_of_its_person(
    make_workflow: MakeWorkflow, organization: Organization, person: User, make_user: Callable[..., User],
    pass_time: PassTime,
) -> None:  # fmt: skip
    from workflows.services.drafts import update_workflow
    from workflows.services.publishing import publish_workflow

    workflow = make_workflow({**DONE, "duration": 60_000})
    definition = {**workflow.definition, "cancelOn": ["order.cancelled"]}
    publish_workflow(workflow=update_workflow(workflow=workflow, definition=definition))
    other = make_user(organization=organization)
    runs = [
        trigger_workflow(organization=organization, workflow="flow", user=user) for user in (person, other)
    ]
    pass_time(seconds=1)
    reported = report_event(organization=organization, event="order.cancelled", user=person)
    assert [one.id for one in reported.cancelled] == [runs[0].id]
    assert [status(one) for one in runs] == ["cancelled", "running"]
    assert runs[0].reason == "The event 'order.cancelled' came."


def test_a_paused_workflow_stands_still_and_goes_on(
    make_workflow: MakeWorkflow, start: Callable[..., Execution], organization: Organization, person: User,
    pass_time: PassTime,
) -> None:  # fmt: skip
    workflow = make_workflow({**DONE, "duration": 60_000}, DONE)
    make_workflow(DONE, key="other", event="else")
    execution = start()
    pass_time(seconds=1)
    pause_workflow(workflow=workflow)
    with pytest.raises(Conflict, match="already"):
        pause_workflow(workflow=workflow)
    other = trigger_workflow(organization=organization, workflow="other", user=person)
    late = start()
    pass_time(minutes=5)
    assert (status(execution), status(late), status(other)) == ("running", "running", "completed")
    assert set(StepRun.objects.exclude(execution=other).values_list("status", flat=True)) == {"paused"}
    assert resume_workflow(workflow=workflow) == 2
    pass_time(seconds=1)
    assert (status(execution), status(late)) == ("completed", "running")


def test_a_batch_with_a_bad_step_is_only_bad_for_that_step(
    make_workflow: MakeWorkflow, start: Callable[..., Execution], pass_time: PassTime
) -> None:
    make_workflow({"type": "condition", "check": "age < 50"}, DONE)
    runs = [start(age=age) for age in (1, "old", 2, 60)]
    pass_time(seconds=1)
    assert [status(one) for one in runs] == ["completed", "failed", "completed", "stopped"]


def test_an_organization_with_much_due_leaves_room_for_others(
    make_workflow: MakeWorkflow, start: Callable[..., Execution], make_organization: Callable[..., Organization],
    make_user: Callable[..., User],
) -> None:  # fmt: skip
    make_workflow(DONE)
    loud = [start() for _ in range(30)]
    quiet = make_organization()
    make_workflow(DONE, organization=quiet)
    small = trigger_workflow(organization=quiet, workflow="flow", user=make_user(organization=quiet))
    claimed = {claim.execution_id for claim in claim_due_steps(now=now(), limit=10)}
    assert small.id in claimed
    assert len(claimed & {one.id for one in loud}) >= 5
