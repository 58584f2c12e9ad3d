"""What an execution does on a clock that the test moves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Membership, Organization, User
from castcomm.common.clock import VirtualClock
from castcomm.common.errors import TemporarilyUnavailable
from notifications.models import Delivery, Notification, Template
from workflows.engine.interpreter import MAX_ATTEMPTS
from workflows.engine.live import MembersReader, NotificationEffects
from workflows.engine.ports import Send, Sent
from workflows.engine.runner import Engine
from workflows.models import Execution, StepRun, Workflow
from workflows.services.publishing import publish_workflow
from workflows.services.ready_made import install_ready_made
from workflows.services.triggering import trigger_event, trigger_workflow

PassTime = Callable[..., int]
MakeWorkflow = Callable[..., Workflow]


def statuses(execution: Execution) -> list[tuple[str, str]]:
    return list(StepRun.objects.filter(execution=execution).values_list("step_type", "status"))


def mails(organization: Organization) -> list[str]:
    sent = Delivery.objects.for_organization(organization).filter(channel="email").order_by("created_at")
    return [delivery.notification.request.template.key for delivery in sent]


@pytest.mark.usefixtures("welcome_templates")
class TestWelcomeSequence:
    def test_welcome_at_once_and_a_reminder_after_a_day(
        self, organization: Organization, person: User, pass_time: PassTime
    ) -> None:
        install_ready_made(organization=organization, key="welcome_sequence")
        [execution] = trigger_event(organization=organization, event="user_registered", user=person)
        pass_time(seconds=1)
        assert mails(organization) == ["welcome"]
        assert Delivery.objects.get(channel="email").priority == 1
        pass_time(hours=23, minutes=59)
        assert mails(organization) == ["welcome"]
        pass_time(minutes=2)
        assert mails(organization) == ["welcome", "profile-completion-reminder"]
        execution.refresh_from_db()
        assert execution.status == "completed"
        assert execution.finished_at is not None
        assert statuses(execution) == [
            ("delay", "done"),
            ("email", "done"),
            ("delay", "done"),
            ("condition", "done"),
            ("email", "done"),
        ]

    def test_the_profile_of_the_next_day_decides(
        self, organization: Organization, person: User, pass_time: PassTime
    ) -> None:
        install_ready_made(organization=organization, key="welcome_sequence")
        [execution] = trigger_event(organization=organization, event="user_registered", user=person)
        pass_time(seconds=1)
        person.attributes = {"profile_completion": 80}
        person.save()
        pass_time(days=1, minutes=1)
        execution.refresh_from_db()
        assert mails(organization) == ["welcome"]
        assert execution.status == "stopped"
        assert execution.reason == "The condition 'profile_completion < 50' is false."
        step = StepRun.objects.get(execution=execution, step_type="condition")
        assert step.result == {
            "check": "profile_completion < 50",
            "value": False,
            "read": {"profile_completion": 80},
        }

    def test_a_missing_attribute_is_named(
        self, organization: Organization, member: User, pass_time: PassTime
    ) -> None:
        install_ready_made(organization=organization, key="welcome_sequence")
        [execution] = trigger_event(organization=organization, event="user_registered", user=member)
        pass_time(seconds=1)
        pass_time(days=2)
        execution.refresh_from_db()
        assert (execution.status, "profile_completion is not known" in execution.reason) == ("stopped", True)

    def test_each_mail_is_linked_to_its_step(
        self, organization: Organization, person: User, pass_time: PassTime
    ) -> None:
        install_ready_made(organization=organization, key="welcome_sequence")
        [execution] = trigger_event(organization=organization, event="user_registered", user=person)
        pass_time(seconds=1)
        step = StepRun.objects.get(execution=execution, step_type="email")
        assert step.notification == Notification.objects.get(request__source="workflow")
        assert step.input == {"type": "email", "template": "welcome", "priority": "high"}


class TestTime:
    def test_a_scaled_day_lasts_seconds(
        self, clock: VirtualClock, make_workflow: MakeWorkflow, organization: Organization, person: User
    ) -> None:
        engine = Engine(clock=clock, people=MembersReader(), effects=Refuses(), time_scale=2880)
        make_workflow({"type": "delay", "duration": 86_400_000})
        [execution] = trigger_event(organization=organization, event="happened", user=person)
        engine.run_due()
        [step] = StepRun.objects.filter(execution=execution)
        assert step.due_at - clock.now() == dt.timedelta(seconds=30)
        assert step.result is not None
        assert step.result["time_scale"] == 2880

    def test_runs_stay_on_their_version(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User, pass_time: PassTime
    ) -> None:
        workflow = make_workflow({"type": "delay", "duration": 60_000}, {"type": "stop", "reason": "old"})
        [first] = trigger_event(organization=organization, event="happened", user=person)
        pass_time(seconds=1)
        workflow.definition = {**workflow.definition, "steps": [{"type": "stop", "reason": "new"}]}
        workflow.save()
        publish_workflow(workflow=workflow)
        [second] = trigger_event(organization=organization, event="happened", user=person)
        pass_time(minutes=2)
        first.refresh_from_db()
        second.refresh_from_db()
        assert (first.reason, second.reason) == ("old", "new")

    def test_later_steps_read_earlier_results(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User, pass_time: PassTime
    ) -> None:
        make_workflow(
            {"type": "condition", "check": "data.role == 'ACTOR' and user.locale == 'en'"},
            {"type": "condition", "check": "steps.0.result.value and steps.0.result.read != null"},
        )
        [execution] = trigger_event(
            organization=organization, event="happened", user=person, data={"role": "ACTOR"}
        )
        pass_time(seconds=1)
        execution.refresh_from_db()
        assert execution.status == "completed"

    def test_who_left_gets_nothing_more(
        self, make_workflow: MakeWorkflow, make_template: Callable[..., Template], organization: Organization,
        person: User, pass_time: PassTime,
    ) -> None:  # fmt: skip
        make_template("late")
        make_workflow({"type": "delay", "duration": 60_000}, {"type": "email", "template": "late"})
        [execution] = trigger_event(organization=organization, event="happened", user=person)
        pass_time(seconds=1)
        Membership.objects.filter(user=person).update(is_active=False)
        pass_time(minutes=2)
        execution.refresh_from_db()
        assert execution.status == "stopped"
        assert "no longer an active member" in execution.reason
        assert mails(organization) == []


class Refuses(NotificationEffects):
    """Effects whose far side is away, or which breaks in an unknown way."""

    def __init__(self, error: Exception | None = None, *, times: int = 10**6) -> None:
        super().__init__()
        self.error = error or TemporarilyUnavailable("Come back later.")
        self.left = times
        self.asked = 0

    def send(self, wanted: Send) -> Sent:
        self.asked += 1
        if self.left:
            self.left -= 1
            raise self.error
        return Sent(wanted.user_id, None)


class TestErrors:
    @pytest.fixture
    def execution(
        self, make_workflow: MakeWorkflow, make_template: Callable[..., Template], organization: Organization,
        person: User,
    ) -> Execution:  # fmt: skip
        make_template("news")
        make_workflow({"type": "email", "template": "news"}, {"type": "stop"})
        return trigger_event(organization=organization, event="happened", user=person)[0]

    @pytest.mark.parametrize("error", [None, RuntimeError("surprise")])
    def test_what_may_pass_is_tried_again(
        self, execution: Execution, clock: VirtualClock, error: Exception | None
    ) -> None:
        effects = Refuses(error, times=2)
        engine = Engine(clock=clock, people=MembersReader(), effects=effects)
        for _ in range(5):
            engine.run_due()
            clock.advance_to(clock.now() + dt.timedelta(hours=1))
        execution.refresh_from_db()
        assert (execution.status, effects.asked) == ("stopped", 3)

    def test_a_retry_waits_before_it_comes(self, execution: Execution, clock: VirtualClock) -> None:
        effects = Refuses()
        engine = Engine(clock=clock, people=MembersReader(), effects=effects)
        engine.run_due()
        engine.run_due()
        step = StepRun.objects.get(execution=execution)
        assert effects.asked == 1
        assert (step.status, step.error) == ("waiting", "Come back later.")
        assert step.due_at > clock.now()

    def test_patience_ends(self, execution: Execution, clock: VirtualClock) -> None:
        effects = Refuses()
        engine = Engine(clock=clock, people=MembersReader(), effects=effects)
        for _ in range(MAX_ATTEMPTS + 3):
            engine.run_due()
            clock.advance_to(clock.now() + dt.timedelta(hours=2))
        execution.refresh_from_db()
        assert (execution.status, effects.asked) == ("failed", MAX_ATTEMPTS)
        assert execution.reason == "Step 0 (email) failed 8 times: Come back later."

    def test_what_cannot_work_fails_at_once(
        self, execution: Execution, organization: Organization, pass_time: PassTime
    ) -> None:
        Template.objects.all().delete()
        pass_time(seconds=1)
        execution.refresh_from_db()
        assert execution.status == "failed"
        assert "There is no template 'news'" in execution.reason
        assert StepRun.objects.get(execution=execution).status == "failed"

    def test_a_condition_that_cannot_be_evaluated_says_where(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User, pass_time: PassTime
    ) -> None:
        make_workflow({"type": "condition", "check": "age < 50"}, key="other", event="aged")
        execution = trigger_workflow(
            organization=organization, workflow="other", user=person, data={"age": "old"}
        )
        pass_time(seconds=1)
        execution.refresh_from_db()
        assert execution.status == "failed"
        assert "Text cannot be compared with a number. (column 5)" in execution.reason


def test_a_batch_is_one_claim_and_no_row_is_left(
    make_workflow: MakeWorkflow, organization: Organization, person: User, pass_time: PassTime
) -> None:
    make_workflow({"type": "delay", "duration": 0}, {"type": "stop"})
    made: list[Any] = [
        trigger_event(organization=organization, event="happened", user=person)[0] for _ in range(60)
    ]
    assert pass_time(seconds=1) == 120
    assert Execution.objects.filter(status="stopped").count() == len(made)
