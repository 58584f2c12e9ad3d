"""What a simulation says of sends is what real sends do: beside each other on one clock, moment for moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import time_machine

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import (
    Category,
    Delivery,
    DigestSetting,
    DigestWindow,
    EngagementHistogram,
    EventType,
    FrequencyCap,
    QuietHours,
    SmartSendPolicy,
    Suppression,
    Template,
)
from notifications.services import dispatch, provider_accounts
from notifications.services.digests.closing import close_due
from notifications.services.recipients import address_index
from tests.notifications.smtp_server import smtp_server
from workflows.durations import parse_duration
from workflows.engine.live import MembersReader, NotificationEffects
from workflows.engine.runner import Engine
from workflows.models import Execution, StepRun, Workflow
from workflows.selectors import timeline_of
from workflows.services.backtesting import backtest_workflow
from workflows.services.simulating import simulate_workflow
from workflows.services.triggering import report_event, trigger_event
from workflows.simulation.course import Course
from workflows.timelines import TimelineStep, comparable

HOUR = 3_600_000
MakeWorkflow = Callable[..., Workflow]


class RealTime:
    """The clock that the test stops and moves."""

    def now(self) -> dt.datetime:
        return now()


def next_moment() -> dt.datetime | None:
    """When something waits to happen: a step, a delivery, the close of a digest."""
    steps = StepRun.objects.filter(status="waiting").values_list("due_at", flat=True)
    deliveries = Delivery.objects.filter(status__in=["pending", "deferred"]).values_list("due_at", flat=True)
    windows = DigestWindow.objects.filter(status="open").values_list("closes_at", flat=True)
    return min([*steps, *deliveries, *windows], default=None)


def live_through(
    start: dt.datetime, organization: Organization, person: User, events: Sequence[dict[str, Any]]
) -> None:
    """Let it really happen, with the clock stopped at each moment at which something is due."""
    engine = Engine(clock=RealTime(), people=MembersReader(), effects=NotificationEffects())
    coming = [(start + parse_duration(one["after"]), one["event"], one.get("data", {})) for one in events]
    with time_machine.travel(start, tick=False) as traveller:
        trigger_event(organization=organization, event="happened", user=person)
        for _ in range(100):
            moments = [one for one in (next_moment(), *(at for at, _, _ in coming[:1])) if one is not None]
            if not moments:
                return
            traveller.move_to(max(min(moments), now()))
            if coming and coming[0][0] <= now():
                _, event, data = coming.pop(0)
                report_event(organization=organization, event=event, user=person, data=data)
            close_due()
            for channel in ("in_app", "email"):
                for priority in range(4):
                    dispatch.send_due_batch(channel, priority)
            engine.run_due()
    raise AssertionError("It does not come to rest.")


def left(timeline: list[TimelineStep]) -> Iterator[tuple[str, str, str, dt.datetime | None]]:
    for step in timeline:
        for send in step.sends:
            yield step.path, send.channel, send.status, None if send.status == "digested" else send.left_at


@pytest.fixture
def simulated_beside_real(
    organization: Organization,
    make_template: Callable[..., Any],
    make_workflow: MakeWorkflow,
    member: User,
    settings: Any,
) -> Iterator[Callable[..., Course]]:
    """Simulates, then lives through it, and holds the one to the other."""

    def run(*steps: dict[str, Any], start: dt.datetime, events: Sequence[dict[str, Any]] = ()) -> Course:
        workflow = make_workflow(*steps)
        [course] = simulate_workflow(
            organization=organization,
            users=[member.id],
            workflow=workflow,
            start=start,
            assumptions={"events": list(events)},
            rendering=True,
        ).courses
        live_through(start, organization, member, events)
        executions = list(Execution.objects.order_by("started_at", "id"))
        assert len(executions) == len(course.runs)
        for execution, simulated_run in zip(executions, course.runs, strict=True):
            real, simulated = timeline_of(execution), simulated_run.timeline(workflow.definition)
            assert comparable(simulated) == comparable(real)
            assert list(left(simulated)) == list(left(real))
            assert (simulated_run.status, simulated_run.finished_at) == (
                execution.status,
                execution.finished_at,
            )
        return course

    for key in ("a", "b", "c", "d", "news"):
        make_template(key, subject=f"{key} for {{{{ user.first_name }}}}", compiled_text="Text")
    with smtp_server() as server:
        settings.SMTP_HOST, settings.SMTP_PORT = "127.0.0.1", server.port
        yield run
    provider_accounts._providers.clear()


def reasons(course: Course) -> list[list[str]]:
    return [
        [one.reason for one in delivery.weighed]
        for notification in course.outbox.sent
        for delivery in notification.deliveries
    ]


@pytest.fixture
def morning() -> dt.datetime:
    """Ten o'clock (UTC) of a Monday to come."""
    today = now().replace(hour=10, minute=0, second=0, microsecond=0)
    return today + dt.timedelta(days=7 - today.weekday())


def email(template: str, **more: Any) -> dict[str, Any]:
    return {"type": "email", "template": template, **more}


def test_quiet_hours_a_digest_and_a_cap(
    organization: Organization,
    member: User,
    morning: dt.datetime,
    simulated_beside_real: Callable[..., Course],
) -> None:
    activity = Category.objects.create(organization=organization, key="activity", name="Activity")
    EventType.objects.create(
        organization=organization, key="news", name="News", category=activity, is_digestible=True,
        channels=["email", "in_app"], template=organization_template(organization, "news"),
    )  # fmt: skip
    DigestSetting.objects.create(
        organization=organization, user=member, category=activity, frequency="daily", at=dt.time(9)
    )
    QuietHours.objects.create(
        organization=organization, user=member, start=dt.time(22), end=dt.time(8), days=list(range(7))
    )
    FrequencyCap.objects.create(
        organization=organization, channel="email", period="day", limit=2, overflow="defer"
    )
    course = simulated_beside_real(
        email("a"),
        {"type": "notification", "eventType": "news"},
        email("b"),
        email("c"),
        {"type": "delay", "duration": 13 * HOUR},
        email("d"),
        start=morning,
    )
    assert reasons(course) == [
        ["requested"], ["default"], ["digest"], ["requested"], ["cap_wait", "quiet_hours"],
        ["quiet_hours", "cap_wait"],
    ]  # fmt: skip
    [digest] = course.outbox.windows.all
    assert (digest.titles, digest.left_at) == (["news"], morning + dt.timedelta(hours=23))


def test_a_good_hour_and_a_suppression_that_ends(
    organization: Organization,
    member: User,
    morning: dt.datetime,
    simulated_beside_real: Callable[..., Course],
) -> None:
    counts = [0] * 168
    counts[20] = 50  # Mondays at eight in the evening
    EngagementHistogram.objects.create(organization=organization, user=member, counts=counts, total=50)
    SmartSendPolicy.objects.create(organization=organization, is_enabled=True, max_wait_hours=24)
    course = simulated_beside_real(
        email("a", priority="low"), {"type": "delay", "duration": HOUR}, email("b"), start=morning
    )
    assert reasons(course) == [["smart_time"], ["requested"]]
    assert course.outbox.sent[0].deliveries[0].left_at == morning + dt.timedelta(hours=10)
    assert course.outbox.sent[0].deliveries[0].subject == f"a for {member.first_name}"


def test_a_suppression_ends_by_itself(
    organization: Organization, member: User, make_workflow: MakeWorkflow, make_template: Callable[..., Any]
) -> None:
    make_template("a", compiled_text="Text")
    Suppression.objects.create(
        organization=organization, channel="email", address=member.email, reason="bounce",
        address_index=address_index(member.email, ""), expires_at=now() + dt.timedelta(days=2),
    )  # fmt: skip
    workflow = make_workflow(email("a"), {"type": "delay", "duration": 72 * HOUR}, email("a"))
    [course] = simulate_workflow(organization=organization, users=[member.id], workflow=workflow).courses
    assert reasons(course) == [["suppression"], ["requested"]]


def test_experiments_awaited_events_and_digests(
    morning: dt.datetime, simulated_beside_real: Callable[..., Course], organization: Organization
) -> None:
    course = simulated_beside_real(
        {"type": "digest", "id": "together", "window": "PT2H"},
        {
            "type": "experiment",
            "key": "tone",
            "variants": [{"name": name, "steps": [email(name)]} for name in ("a", "b")],
        },
        {
            "type": "wait_for_event",
            "event": "bought",
            "match": "event.amount > 10",
            "timeout": "P5D",
            "then": [email("c", when="steps.together.result.count == 2")],
        },
        {"type": "wait_for_event", "event": "never", "timeout": "P1D", "onTimeout": [email("d")]},
        start=morning,
        events=[
            {"after": "PT1H", "event": "happened", "data": {"n": 2}},
            {"after": "P1D", "event": "bought", "data": {"amount": 5}},
            {"after": "P2D", "event": "bought", "data": {"amount": 50}},
        ],
    )
    first, second = course.runs
    assert (first.status, second.status) == ("completed", "digested")
    templates = [one.message.template for one in course.outbox.sent]
    assert [template.key for template in templates if template][1:] == ["c", "d"]
    assert first.finished_at == morning + dt.timedelta(days=3)
    with time_machine.travel(first.finished_at, tick=False):
        same = backtest_workflow(organization=organization, workflow=Workflow.objects.get())
    assert [one.differences for one in same.compared] == [None, []]


def test_an_opened_mail_wakes_who_waits_for_it(
    organization: Organization, member: User, make_workflow: MakeWorkflow, make_template: Callable[..., Any]
) -> None:
    make_template("a", compiled_text="Text")
    waits = {
        "type": "wait_for_event", "event": "notification_opened", "match": "event.template == 'a'", "timeout": "P3D",
        "then": [{"type": "stop", "reason": "Opened."}], "onTimeout": [{"type": "stop", "reason": "Not opened."}],
    }  # fmt: skip
    workflow = make_workflow(email("a"), waits)

    def ends(assumptions: dict[str, Any]) -> tuple[str, dt.timedelta]:
        [course] = simulate_workflow(
            organization=organization, users=[member.id], workflow=workflow, assumptions=assumptions
        ).courses
        [run] = course.runs
        assert run.finished_at is not None
        return run.reason, run.finished_at - run.started_at

    assert ends({}) == ("Not opened.", dt.timedelta(days=3))
    assert ends({"opened": "PT2H"}) == ("Opened.", dt.timedelta(hours=2))


def test_a_variant_can_be_assumed(
    organization: Organization, member: User, make_workflow: MakeWorkflow
) -> None:
    variants = [{"name": name, "steps": [{"type": "stop", "reason": name}]} for name in ("red", "blue")]
    workflow = make_workflow({"type": "experiment", "key": "colour", "variants": variants})
    for name in ("red", "blue"):
        [course] = simulate_workflow(
            organization=organization, users=[member.id], workflow=workflow,
            assumptions={"variants": {"colour": name}},
        ).courses  # fmt: skip
        assert course.runs[0].reason == name


def test_answers_of_other_systems_can_be_assumed(
    organization: Organization, member: User, make_workflow: MakeWorkflow
) -> None:
    workflow = make_workflow(
        {
            "type": "http",
            "id": "crm",
            "url": "https://crm.example.com/people",
            "saveAs": "crm",
            "onError": "continue",
        },
        {"type": "update_attributes", "set": {"plan": {"expression": "data.crm.body.plan"}}},
        {"type": "stop", "reason": "Known.", "when": "user.plan == 'gold'"},
        {"type": "stop", "reason": "Unknown."},
    )

    def reason(*answers: dict[str, Any]) -> str:
        [course] = simulate_workflow(
            organization=organization,
            users=[member.id],
            workflow=workflow,
            assumptions={"http": list(answers)},
        ).courses
        return course.runs[0].reason

    assert reason() == reason({"step": "crm", "fails": "time-out"}) == "Unknown."
    assert reason({"step": "crm", "body": {"plan": "gold"}}) == reason({"body": {"plan": "gold"}}) == "Known."
    assert reason({"step": "another", "body": {"plan": "gold"}}) == "Unknown."
    member.refresh_from_db()
    assert "plan" not in member.attributes


def organization_template(organization: Organization, key: str) -> Any:
    return Template.objects.get(organization=organization, key=key)
