"""What starts an execution, what does not, and how it is cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import Organization, User
from accounts.services.users import register_user
from castcomm.common.errors import CastCommError, Conflict, InvalidInput
from notifications.models import Category, EventType, Notification, Template
from workflows.models import Execution, StepRun, Workflow
from workflows.services.drafts import delete_workflow, update_workflow
from workflows.services.executions import cancel_by_key, cancel_execution, retry_execution
from workflows.services.publishing import publish_workflow
from workflows.services.ready_made import install_ready_made
from workflows.services.triggering import report_event, trigger_event, trigger_workflow

MakeWorkflow = Callable[..., Workflow]
STOP = {"type": "stop"}


@pytest.mark.usefixtures("welcome_templates")
def test_registering_a_person_starts_the_welcome_sequence(organization: Organization) -> None:
    install_ready_made(organization=organization, key="welcome_sequence")
    user = register_user(email="new@example.com", organization=organization)
    execution = Execution.objects.get(user=user)
    assert (execution.workflow.key, execution.event) == ("welcome_sequence", "user_registered")
    assert StepRun.objects.get(execution=execution).step_type == "delay"


@pytest.mark.usefixtures("welcome_templates")
def test_a_registration_that_is_rolled_back_starts_nothing(organization: Organization) -> None:
    install_ready_made(organization=organization, key="welcome_sequence")
    with transaction.atomic():
        register_user(email="new@example.com", organization=organization)
        transaction.set_rollback(True)
    assert Execution.objects.count() == 0


def test_an_event_starts_only_what_listens_here(
    make_workflow: MakeWorkflow, organization: Organization, other_organization: Organization, person: User
) -> None:
    make_workflow(STOP, key="mine")
    make_workflow(STOP, key="unrelated", event="other")
    make_workflow(STOP, key="foreign", organization=other_organization)
    make_workflow(STOP, key="off", is_active=False)
    started = trigger_event(organization=organization, event="happened", user=person)
    assert [execution.workflow.key for execution in started] == ["mine"]


def test_an_unpublished_change_of_the_event_does_not_listen_yet(
    make_workflow: MakeWorkflow, organization: Organization, person: User
) -> None:
    workflow = make_workflow(STOP)
    update_workflow(workflow=workflow, definition={**workflow.definition, "triggerEvent": "later"})
    assert trigger_event(organization=organization, event="later", user=person) == []
    publish_workflow(workflow=workflow)
    assert len(trigger_event(organization=organization, event="later", user=person)) == 1
    assert trigger_event(organization=organization, event="happened", user=person) == []


def test_the_event_notifies_by_itself_where_its_type_says_so(
    make_workflow: MakeWorkflow,
    make_template: Callable[..., Template],
    organization: Organization,
    person: User,
) -> None:
    make_workflow(STOP)
    template = make_template("noted")
    category = Category.objects.create(organization=organization, key="news", name="News")
    event_type = EventType.objects.create(
        organization=organization, key="happened", name="Happened", category=category, template=template,
        channels=["in_app"],
    )  # fmt: skip
    assert report_event(organization=organization, event="happened", user=person).notification is None
    event_type.notify_on_event = True
    event_type.save()
    for _ in range(2):
        reported = report_event(
            organization=organization, event="happened", user=person, idempotency_key="once"
        )
    assert reported.notification is not None
    assert [one.user_id for one in reported.notification.notifications] == [person.id]
    assert Notification.objects.filter(inbox_seq__isnull=False).count() == 1


def test_the_same_key_starts_once(
    make_workflow: MakeWorkflow, organization: Organization, person: User
) -> None:
    make_workflow(STOP)
    first, second = (
        trigger_event(organization=organization, event="happened", user=person, idempotency_key="k")
        for _ in range(2)
    )
    assert [one.id for one in first] == [one.id for one in second]
    assert Execution.objects.count() == 1
    assert StepRun.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "attr"),
    [
        ({"event": ""}, "event"),
        ({"event": "x" * 101}, "event"),
        ({"event": "line\nbreak"}, "event"),
        ({"data": {"user": 1}}, "data.user"),
        ({"data": {"x": "\x00"}}, "data"),
        ({"data": {"x": "\ud800"}}, "data"),
        ({"data": {"x": "y" * 70_000}}, "data"),
        ({"data": {"x": float("nan")}}, "data"),
        ({"data": ["list"]}, "data"),
        ({"idempotency_key": "x" * 256}, "idempotency_key"),
        ({"idempotency_key": "\n"}, "idempotency_key"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(
    make_workflow: MakeWorkflow,
    organization: Organization,
    person: User,
    arguments: dict[str, Any],
    attr: str,
) -> None:
    make_workflow(STOP)
    with pytest.raises(InvalidInput) as caught:
        trigger_event(**{"organization": organization, "event": "happened", "user": person, **arguments})
    assert (caught.value.attr or "").startswith(attr)
    assert Execution.objects.count() == 0


def test_a_stranger_has_no_events(
    make_workflow: MakeWorkflow, make_user: Callable[..., User], organization: Organization
) -> None:
    make_workflow(STOP)
    with pytest.raises(InvalidInput) as caught:
        trigger_event(organization=organization, event="happened", user=make_user())
    assert caught.value.attr == "user"


class TestByName:
    def test_it_starts_for_a_person(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User
    ) -> None:
        make_workflow(STOP)
        execution = trigger_workflow(organization=organization, workflow="flow", user=person, data={"a": 1})
        assert (execution.data, execution.event, execution.source) == ({"a": 1}, "", "python")

    def test_what_cannot_start_says_why(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User
    ) -> None:
        make_workflow(STOP, key="off", is_active=False)
        Workflow.objects.filter(key="off").update(is_active=False)
        workflow = make_workflow(STOP, key="draft")
        Workflow.objects.filter(id=workflow.id).update(current_version=None)
        for key, code in (("off", "inactive"), ("draft", "not_published"), ("none", "unknown_workflow")):
            with pytest.raises(CastCommError) as caught:
                trigger_workflow(organization=organization, workflow=key, user=person)
            assert caught.value.code == code


class TestReentry:
    def start(self, organization: Organization, person: User) -> Execution:
        return trigger_workflow(organization=organization, workflow="flow", user=person)

    def test_once_means_never_again(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User, pass_time: Any
    ) -> None:
        make_workflow(STOP, reentry="once")
        self.start(organization, person)
        pass_time(seconds=1)
        with pytest.raises(Conflict, match="once only"):
            self.start(organization, person)
        reported = report_event(organization=organization, event="happened", user=person)
        assert reported.executions == []
        assert "once only" in reported.refused["flow"]

    def test_one_at_a_time_may_come_again_later(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User, pass_time: Any
    ) -> None:
        make_workflow(STOP, reentry="one_at_a_time")
        self.start(organization, person)
        with pytest.raises(Conflict, match="still going"):
            self.start(organization, person)
        pass_time(seconds=1)
        self.start(organization, person)

    @pytest.mark.django_db(transaction=True)
    def test_two_calls_at_once_are_one_run(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User
    ) -> None:
        make_workflow(STOP, reentry="once")
        barrier = threading.Barrier(4)
        refused: list[str] = []

        def run() -> None:
            barrier.wait()
            try:
                self.start(organization, person)
            except Conflict as error:
                refused.append(error.code)
            finally:
                connection.close()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert Execution.objects.count() == 1
        assert refused == ["reentry"] * 3


class TestCancel:
    STEPS = ({"type": "delay", "duration": 0}, {"type": "delay", "duration": 60_000}, {"type": "stop"})

    def test_it_says_what_it_stopped(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User, pass_time: Any
    ) -> None:
        make_workflow(*self.STEPS)
        [execution] = trigger_event(organization=organization, event="happened", user=person)
        pass_time(seconds=1)
        cancelled = cancel_execution(execution=execution, reason="Not needed.")
        assert (cancelled.done, cancelled.stopped, cancelled.never_begun) == (["0"], ["1"], ["2"])
        assert (cancelled.execution.status, cancelled.execution.reason) == ("cancelled", "Not needed.")
        pass_time(hours=1)
        execution.refresh_from_db()
        assert execution.status == "cancelled"
        with pytest.raises(Conflict, match="ended already: cancelled"):
            cancel_execution(execution=execution)

    def test_it_names_the_mails_that_are_out(
        self, make_workflow: MakeWorkflow, make_template: Callable[..., Template], organization: Organization,
        person: User, pass_time: Any,
    ) -> None:  # fmt: skip
        make_template("out")
        make_workflow({"type": "email", "template": "out"}, *self.STEPS)
        [execution] = trigger_event(organization=organization, event="happened", user=person)
        pass_time(seconds=1)
        cancelled = cancel_execution(execution=execution)
        assert cancelled.notifications == [Notification.objects.get().id]

    def test_a_step_that_was_claimed_and_cancelled_does_not_run(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User, engine: Any, clock: Any
    ) -> None:
        from workflows.engine.claims import claim_due_steps

        make_workflow(*self.STEPS)
        [execution] = trigger_event(organization=organization, event="happened", user=person)
        [claim] = claim_due_steps(now=clock.now())
        assert cancel_execution(execution=execution).stopped == ["0"]
        assert engine._batch(careful=True).run([claim]) == 0
        assert StepRun.objects.get(execution=execution).status == "skipped"

    def test_by_key(
        self, make_workflow: MakeWorkflow, organization: Organization, other_organization: Organization,
        person: User,
    ) -> None:  # fmt: skip
        make_workflow(*self.STEPS)
        for key in ("order-1", "order-1", "order-2", ""):
            trigger_workflow(organization=organization, workflow="flow", user=person, cancellation_key=key)
        assert cancel_by_key(organization=other_organization, cancellation_key="order-1") == []
        assert len(cancel_by_key(organization=organization, cancellation_key="order-1")) == 2
        assert cancel_by_key(organization=organization, cancellation_key="") == []
        assert Execution.objects.filter(status="running").count() == 2

    def test_only_what_failed_is_tried_again(
        self, make_workflow: MakeWorkflow, organization: Organization, person: User
    ) -> None:
        make_workflow(*self.STEPS)
        [execution] = trigger_event(organization=organization, event="happened", user=person)
        with pytest.raises(Conflict, match="failed execution"):
            retry_execution(execution=execution)


def test_a_workflow_with_a_record_is_not_deleted(
    make_workflow: MakeWorkflow, organization: Organization, person: User
) -> None:
    workflow, unused = make_workflow(STOP), make_workflow(STOP, key="unused", event="never")
    trigger_event(organization=organization, event="happened", user=person)
    with pytest.raises(Conflict, match="Switch it off"):
        delete_workflow(workflow=workflow)
    delete_workflow(workflow=unused)
    assert list(Workflow.objects.values_list("key", flat=True)) == ["flow"]


def test_publishing_twice_makes_one_version(make_workflow: MakeWorkflow) -> None:
    workflow = make_workflow(STOP)
    assert publish_workflow(workflow=workflow).number == 1
    update_workflow(workflow=workflow, definition={**workflow.definition, "name": "Other"})
    version = publish_workflow(workflow=workflow)
    assert version.number == 2
    with pytest.raises(TypeError, match="never changes"):
        version.save()


def test_publishing_asks_for_what_is_missing(make_workflow: MakeWorkflow) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_workflow({"type": "delay", "duration": 0}, {"type": "email", "template": "nowhere"})
    assert (caught.value.attr, caught.value.message) == (
        "steps.1.template",
        "There is no published template 'nowhere'.",
    )
    with pytest.raises(InvalidInput) as caught:
        make_workflow({"type": "notification", "eventType": "nothing"}, key="second")
    assert caught.value.attr == "steps.0.eventType"
