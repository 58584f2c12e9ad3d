"""Workflows that start by news, by the clock and for many."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.events import EmailVerified
from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import Conflict, InvalidInput
from castcomm.common.events import publish
from notifications.events import InboxActed
from notifications.models import Template
from notifications.services.sending import send_notification
from workflows.models import Execution, MassStart, Workflow, WorkflowSchedule
from workflows.services import mass_starts
from workflows.services.drafts import create_workflow
from workflows.services.mass_starts import begin_mass_start, lead_on_mass_starts
from workflows.services.publishing import publish_workflow
from workflows.services.schedules import next_occurrence, start_scheduled

MakeWorkflow = Callable[..., Workflow]
WAIT = {"type": "delay", "duration": "P1D"}


@pytest.mark.parametrize(
    ("cron", "zone", "after", "then"),
    [
        ("0 9 * * 1", "Europe/Berlin", "2026-06-01T06:59", "2026-06-01T07:00"),
        ("0 9 * * 1", "Europe/Berlin", "2026-06-01T07:00", "2026-06-08T07:00"),
        ("0 9 * * 0", "America/New_York", "2026-06-01T07:00", "2026-06-07T13:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30", "2026-10-26T01:30"),
        ("*/20 * * * *", "UTC", "2026-01-01T00:00", "2026-01-01T00:20"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00"),
    ],
)
def test_when_a_schedule_is_next(cron: str, zone: str, after: str, then: str) -> None:
    found = next_occurrence(cron, zone=zone, after=dt.datetime.fromisoformat(f"{after}:00+00:00"))
    assert found is not None
    assert found.isoformat()[:16] == then


@pytest.fixture
def scheduled(organization: Organization, person: User, staff: User) -> WorkflowSchedule:
    """Every day at nine for those whose profile is begun; the third day of it is due."""
    trigger = {"type": "schedule", "cron": "0 9 * * *", "audience": "profile_completion > 20"}
    definition: dict[str, Any] = {"name": "F", "type": "flow", "trigger": trigger, "steps": [WAIT]}
    publish_workflow(workflow=create_workflow(organization=organization, definition=definition))
    schedule = WorkflowSchedule.objects.get()
    schedule.next_at = now() - dt.timedelta(days=3)
    schedule.save()
    return schedule


@pytest.mark.django_db
def test_what_was_missed_is_made_up_for_once(scheduled: WorkflowSchedule, person: User) -> None:
    assert (start_scheduled(), start_scheduled()) == (1, 0)
    scheduled.refresh_from_db()
    assert now() < scheduled.next_at <= now() + dt.timedelta(days=1)
    lead_on_mass_starts()
    mass = MassStart.objects.get()
    assert (mass.looked_at, mass.started, mass.error) == (2, 1, "")
    execution = Execution.objects.get()
    assert (execution.user_id, execution.source) == (person.id, "schedule")


@pytest.mark.django_db(transaction=True)
def test_two_beats_and_two_workers_start_each_person_once(
    scheduled: WorkflowSchedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mass_starts, "CHUNK", 1)
    barrier = threading.Barrier(2)

    def work() -> None:
        barrier.wait()
        start_scheduled()
        lead_on_mass_starts()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lead_on_mass_starts()
    assert MassStart.objects.get().started == 1
    assert Execution.objects.count() == 1


@pytest.mark.django_db
def test_a_start_for_many_reaches_whom_it_names_and_says_what_is_wrong(
    organization: Organization, person: User, staff: User, make_workflow: MakeWorkflow
) -> None:
    workflow = make_workflow(WAIT, reentry="once")
    for wrong in ({}, {"users": []}, {"users": [person.id], "audience": "true"}, {"audience": "1 +"}):
        with pytest.raises(InvalidInput):
            begin_mass_start(workflow=workflow, **wrong)  # type: ignore[arg-type]
    begin_mass_start(workflow=workflow, users=[person.id, workflow.id], data={"a": 1})
    begin_mass_start(workflow=workflow, audience='user.email != ""')
    assert lead_on_mass_starts() == 3
    named, everybody = MassStart.objects.order_by("created_at")
    assert (named.looked_at, named.started) == (1, 1)
    assert (everybody.looked_at, everybody.started) == (2, 1)
    assert "for once only" in everybody.error
    assert set(Execution.objects.values_list("user_id", flat=True)) == {person.id, staff.id}
    workflow.is_active = False
    with pytest.raises(Conflict):
        begin_mass_start(workflow=workflow, users=[person.id])


@pytest.mark.django_db
def test_news_starts_workflows_that_listen(
    organization: Organization,
    person: User,
    make_workflow: MakeWorkflow,
    make_template: Callable[..., Template],
) -> None:
    make_template("hello", subject="Hello", text="Hello")
    make_workflow(WAIT, key="verified", event="email_verified")
    publish(EmailVerified(user_id=person.id, email=person.email))
    sent = send_notification(organization=organization, recipients=[person], template="hello")
    ids = tuple(one.id for one in sent.notifications)
    acted = {"organization_id": organization.id, "user_id": person.id, "notification_ids": ids}
    publish(InboxActed(act="read", action_key="", occurred_at=now(), **acted))
    make_workflow(WAIT, key="acted", event="notification_action")
    for _ in range(2):
        publish(InboxActed(act="action", action_key="approve", occurred_at=now(), **acted))
    verified, done = Execution.objects.order_by("started_at", "id")
    assert (verified.event, verified.data) == ("email_verified", {"email": person.email})
    assert done.event == "notification_action"
    told = {"action": "approve", "notification": str(ids[0]), "template": "hello", "channel": "in_app"}
    assert told.items() <= done.data.items()
