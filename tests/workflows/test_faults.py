"""Workers that are killed, two at once, and steps that kill: each step happens exactly once."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connection

from accounts.models import Organization, User
from castcomm.common.clock import VirtualClock
from notifications.models import Notification, NotificationRequest, Template
from tests.workflows.doomed_worker import finish, start_worker
from workflows.engine.claims import LEASE
from workflows.engine.interpreter import MAX_DEATHS
from workflows.engine.runner import Engine
from workflows.models import Execution, StepRun, Workflow
from workflows.services.executions import retry_execution
from workflows.services.triggering import trigger_event

pytestmark = pytest.mark.django_db(transaction=True)


def run_worker(when: str, left: int = 0) -> int:
    return finish(start_worker(when, left))


@pytest.fixture
def people(make_user: Callable[..., User], organization: Organization) -> list[User]:
    return [make_user(organization=organization) for _ in range(20)]


@pytest.fixture
def executions(
    make_workflow: Callable[..., Workflow], make_template: Callable[..., Template], organization: Organization,
    people: list[User],
) -> list[Execution]:  # fmt: skip
    make_template("one")
    make_template("two")
    make_workflow(
        {"type": "email", "template": "one"},
        {"type": "delay", "duration": 0},
        {"type": "email", "template": "two"},
    )
    return [trigger_event(organization=organization, event="happened", user=user)[0] for user in people]


def mails_per_person() -> Counter[tuple[str, str]]:
    rows = Notification.objects.values_list("user__email", "request__template__key")
    return Counter(rows)


def after_the_lease(engine: Engine, clock: VirtualClock) -> None:
    clock.advance_to(clock.now() + LEASE * 2)
    engine.run_due()


@pytest.mark.parametrize(
    ("when", "left"), [("before", 5), ("after", 5), ("after", 27), ("before", 40), ("commit", 21)]
)
def test_a_killed_worker_loses_and_repeats_nothing(
    executions: list[Execution], engine: Engine, clock: VirtualClock, when: str, left: int
) -> None:
    assert run_worker(when, left) == -signal.SIGKILL
    # What was in the transaction with the step that died is gone with it.
    assert NotificationRequest.objects.count() < left
    after_the_lease(engine, clock)
    assert set(Execution.objects.values_list("status", flat=True)) == {"completed"}
    assert set(mails_per_person().values()) == {1}
    assert len(mails_per_person()) == 2 * len(executions)
    assert StepRun.objects.count() == 3 * len(executions)


def test_before_the_lease_is_over_nobody_else_takes_the_step(
    executions: list[Execution], engine: Engine
) -> None:
    run_worker("before", 1)
    lost = set(StepRun.objects.filter(status="running").values_list("id", flat=True))
    assert len(lost) == 5
    engine.run_due()
    assert set(StepRun.objects.filter(status="running").values_list("id", flat=True)) == lost
    assert Execution.objects.filter(status="completed").count() == len(executions) - len(lost)


def test_two_workers_share_the_steps(executions: list[Execution]) -> None:
    workers = [start_worker("never"), start_worker("never")]
    assert [finish(worker) for worker in workers] == [0, 0]
    assert StepRun.objects.filter(status="done").count() == 3 * len(executions)
    assert set(mails_per_person().values()) == {1}
    assert len(mails_per_person()) == 2 * len(executions)
    assert set(Execution.objects.values_list("status", flat=True)) == {"completed"}


def expire_leases() -> None:
    """What time does: the leases of the dead run out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_steprun SET lease_until = now() - interval '1 second' WHERE status = 'running'"
        )


def test_a_step_that_kills_its_worker_is_put_away_and_the_others_go_on(
    executions: list[Execution], organization: Organization, people: list[User], engine: Engine,
    clock: VirtualClock,
) -> None:  # fmt: skip
    poisoned = executions[7]
    Execution.objects.filter(id=poisoned.id).update(data={"poison": True})
    for _ in range(MAX_DEATHS):
        assert run_worker("poison") == -signal.SIGKILL
        expire_leases()
    assert run_worker("poison") == 0
    poisoned.refresh_from_db()
    assert poisoned.status == "failed"
    assert poisoned.reason == "Step 0 (email): the worker died 3 times while it ran this step."
    assert StepRun.objects.get(execution=poisoned).status == "dead"
    others = Execution.objects.exclude(id=poisoned.id)
    assert set(others.values_list("status", flat=True)) == {"completed"}
    assert set(mails_per_person().values()) == {1}

    Execution.objects.filter(id=poisoned.id).update(data={})
    retry_execution(execution=poisoned)
    clock.advance_to(clock.now() + LEASE)
    engine.run_due()
    poisoned.refresh_from_db()
    assert poisoned.status == "completed"


def test_a_late_worker_cannot_record_what_another_has_taken(
    executions: list[Execution], engine: Engine, clock: VirtualClock
) -> None:
    from workflows.engine import claims

    stale = claims.claim_due_steps(now=clock.now())
    assert stale
    after_the_lease(engine, clock)
    for claim in stale:
        assert engine._batch(careful=True).run([claim]) == 0
    assert set(mails_per_person().values()) == {1}
    assert StepRun.objects.count() == 3 * len(executions)
