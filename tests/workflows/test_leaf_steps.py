"""What the steps that do one thing do, through the engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.clock import VirtualClock
from castcomm.common.errors import Unprocessable
from messaging.models import Message
from notifications.models import Delivery, Template
from workflows.definition import validate_definition
from workflows.engine.ports import Person
from workflows.errors import DefinitionInvalid
from workflows.models import Execution, StepRun, ThrottlePass, Workflow
from workflows.services.drafts import create_workflow
from workflows.services.publishing import publish_workflow
from workflows.services.triggering import trigger_workflow
from workflows.steps.base import Outcome, StepContext
from workflows.steps.delay import DelayStep

PassTime = Callable[..., int]
MakeWorkflow = Callable[..., Workflow]


def run(organization: Organization, user: User, pass_time: PassTime, **data: Any) -> list[StepRun]:
    execution = trigger_workflow(organization=organization, workflow="flow", user=user, data=data)
    pass_time(seconds=1)
    return list(StepRun.objects.filter(execution=execution).select_related("execution"))


class Data:
    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def look_up(self, path: Any) -> Any:
        return self._data.get(path[-1])


class TestDelay:
    def until(
        self,
        organization: Organization,
        now: str,
        step: dict[str, Any],
        zone: str = "Europe/Berlin",
        **data: Any,
    ) -> str:
        """When the wait ends, in the person's zone; empty when there is none."""
        person = Person(
            id=organization.id, organization=organization, fields={"time_zone": zone}, attributes={}
        )
        context = StepContext(
            clock=VirtualClock(dt.datetime.fromisoformat(now)),
            origin=None,  # type: ignore[arg-type]
            person=person,
            data=data,
            values=Data(data),
            effects=None,  # type: ignore[arg-type]
            key="k",
            time_scale=1.0,
            earlier=None,
        )
        result = DelayStep().run({"type": "delay", **step}, context)
        if result.outcome is Outcome.GO_ON:
            return ""
        assert result.until is not None
        return result.until.astimezone(dt.UTC).isoformat()[:16]

    def test_times_are_those_of_the_persons_clock_also_when_it_jumps(self) -> None:
        org = Organization(name="x")
        nine = {"untilTime": "09:00"}
        assert self.until(org, "2026-06-01T06:59:00+00:00", nine) == "2026-06-01T07:00"
        assert self.until(org, "2026-06-01T07:00:00+00:00", nine) == "2026-06-02T07:00"
        assert self.until(org, "2026-06-01T07:00:00+00:00", nine, "Asia/Tokyo") == "2026-06-02T00:00"
        assert self.until(org, "2026-06-01T07:00:00+00:00", {**nine, "timeZone": "America/New_York"}) == (
            "2026-06-01T13:00"
        )
        # Monday is 0; 2026-06-01 is one.
        assert self.until(org, "2026-06-01T08:00:00+00:00", {**nine, "weekdays": [0]}) == "2026-06-08T07:00"
        # 02:30 does not exist on 29 March and comes twice on 25 October.
        assert self.until(org, "2026-03-28T23:00:00+00:00", {"untilTime": "02:30"}) == "2026-03-29T01:00"
        assert self.until(org, "2026-10-24T23:00:00+00:00", {"untilTime": "02:30"}) == "2026-10-25T00:30"
        assert self.until(org, "2026-10-25T00:45:00+00:00", {"untilTime": "02:30"}) == "2026-10-26T01:30"
        assert self.until(org, "2026-10-24T23:00:00+00:00", {"duration": "P1DT2H"}) == "2026-10-26T01:00"

    def test_dates_of_the_data_with_an_offset(self) -> None:
        org = Organization(name="x")
        step = {"untilDate": "due", "offset": "-P1D"}
        now = "2026-03-01T00:00:00+00:00"
        # 09:00 stays 09:00 across the change of the clocks on 29 March.
        assert self.until(org, now, step, due="2026-03-30T09:00") == "2026-03-29T07:00"
        assert (
            self.until(org, now, {**step, "offset": "-PT24H30M"}, due="2026-03-30T09:00")
            == "2026-03-29T06:30"
        )
        assert self.until(org, now, {"untilDate": "due", "offset": "P1D"}, due="2026-03-28T09:00") == (
            "2026-03-29T07:00"
        )
        assert self.until(org, now, step, due="2026-05-01T09:00:00Z") == "2026-04-30T09:00"
        assert self.until(org, now, step, due="2026-03-01") == ""
        for bad in ("2029-01-01", "soon", None, 7, "0001-01-01"):
            with pytest.raises(Unprocessable, match=r"gives no date|two years|no such day"):
                self.until(org, now, step, due=bad)


@pytest.mark.parametrize(
    ("step", "path", "sentence"),
    [
        ({"type": "delay"}, "duration", "Give one of"),
        ({"type": "delay", "duration": 1, "untilTime": "09:00"}, "untilTime", "Give one of"),
        ({"type": "delay", "duration": "P732D"}, "duration", "two years"),
        ({"type": "delay", "duration": "-PT1S"}, "duration", "below zero"),
        ({"type": "delay", "untilTime": "24:00"}, "untilTime", "09:00"),
        ({"type": "delay", "duration": 1, "offset": "P1D"}, "offset", "belongs to untilDate"),
        ({"type": "delay", "untilTime": "09:00", "timeZone": "Mars/Base"}, "timeZone", "no time zone"),
        ({"type": "email"}, "template", "one of them"),
        ({"type": "sms", "content": {"body": "Hi {{ user. }}"}}, "content.body", "column"),
        ({"type": "throttle", "key": "k", "limit": 1, "per": "PT0S"}, "per", "At least 1 seconds"),
        ({"type": "http", "url": "https://{{ host }}/"}, "url", "nothing is filled in"),
        ({"type": "http", "url": "https://a.example{{ host }}/"}, "url", "nothing is filled in"),
        ({"type": "http", "url": "https://a.example/", "headers": {"X": "a\r\nb"}}, "headers.X", "One line"),
        ({"type": "http", "url": "https://a.example/", "headers": {"Host": "b"}}, "headers", "cannot be set"),
        ({"type": "http", "url": "https://a.example/", "body": "b"}, "body", "no body"),
        ({"type": "chat_message", "sender": "a", "content": "b"}, "thread", "Give a thread"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(step: dict[str, Any], path: str, sentence: str) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        validate_definition({"name": "F", "type": "f", "steps": [step]})
    problem = refused.value.problems[0]
    assert problem.path == f"steps.0.{path}"
    assert sentence in problem.message


@pytest.mark.django_db
class TestSends:
    def test_content_is_filled_in_and_escaped(
        self, organization: Organization, person: User, make_workflow: MakeWorkflow, pass_time: PassTime
    ) -> None:
        content = {
            "subject": "Order {{ data.order }}",
            "html": "<p>{{ data.note }}</p>",
            "text": "{{ note }}",
        }
        make_workflow(
            {"type": "email", "content": content}, {"type": "in_app", "content": {"title": "{{ order }}"}}
        )
        steps = run(organization, person, pass_time, order=7, note="a < b")
        assert [step.status for step in steps] == ["done", "done"]
        mail, inbox = Delivery.objects.order_by("created_at", "id")
        assert (mail.channel, inbox.channel) == ("email", "in_app")
        assert mail.notification.request.content["html"] == "<p>a &lt; b</p>"
        assert mail.notification.request.content["subject"] == "Order 7"
        assert mail.notification.request.content["text"] == "a < b"
        assert inbox.notification.title == "7"

    def test_a_critical_workflow_is_not_held_back(
        self,
        organization: Organization,
        person: User,
        make_template: Callable[..., Template],
        pass_time: PassTime,
    ) -> None:
        make_template("welcome")
        definition = {
            "name": "F",
            "type": "flow",
            "critical": True,
            "steps": [{"type": "email", "template": "welcome"}],
        }
        publish_workflow(workflow=create_workflow(organization=organization, definition=definition))
        run(organization, person, pass_time)
        assert Delivery.objects.get(channel="email").notification.request.critical is True


@pytest.mark.django_db
class TestOthers:
    def test_a_throttle_lets_so_many_pass(
        self, organization: Organization, person: User, make_workflow: MakeWorkflow, pass_time: PassTime
    ) -> None:
        inner = {"type": "update_attributes", "set": {"passed": True}}
        make_workflow(
            {
                "type": "throttle",
                "key": "{{ k }}",
                "limit": 2,
                "per": "PT1H",
                "onExceeded": "skip",
                "steps": [inner],
            },
            {"type": "throttle", "key": "all", "limit": 3, "per": "PT1H"},
        )
        passed = [[step.status for step in run(organization, person, pass_time, k=k)] for k in "aaabb"]
        assert passed[:2] == [["done", "done", "done"]] * 2
        assert passed[2] == ["skipped", "done"]
        assert passed[3] == ["done", "done", "done"]
        stopped = Execution.objects.order_by("started_at", "id").last()
        assert stopped is not None
        assert (stopped.status, stopped.reason) == ("stopped", "3 have passed 'all' in the last 1:00:00.")
        pass_time(hours=2)
        assert run(organization, person, pass_time, k="a")[-1].result == {
            "key": "all",
            "limit": 3,
            "passed": True,
        }
        assert ThrottlePass.objects.count() == 9

    def test_attributes_and_messages_are_written_with_the_step(
        self,
        organization: Organization,
        person: User,
        staff: User,
        make_workflow: MakeWorkflow,
        pass_time: PassTime,
    ) -> None:
        make_workflow(
            {
                "type": "update_attributes",
                "set": {"stage": "two", "n": {"expression": "profile_completion + 1"}},
            },
            {
                "type": "chat_message",
                "to": "user",
                "sender": staff.email,
                "content": "You have {{ user.n }}.",
            },
            {
                "type": "chat_message",
                "thread": "{{ steps.1.result.thread }}",
                "sender": "{{ user.id }}",
                "content": "Ok",
            },
            {"type": "chat_message", "to": "user", "sender": "nobody@example.com", "content": "Hi"},
        )
        steps = run(organization, person, pass_time)
        assert [step.status for step in steps] == ["done", "done", "done", "failed"]
        person.refresh_from_db()
        assert person.attributes == {"profile_completion": 30, "stage": "two", "n": 31}
        assert steps[0].result == {"set": {"stage": "two", "n": 31}, "before": {"stage": None, "n": None}}
        said = Message.objects.order_by("seq").values_list("sender_id", "content")
        assert list(said) == [(staff.id, "You have 31."), (person.id, "Ok")]
        assert steps[3].execution.reason.endswith("is no active member of the organization.")
