"""Simulation tells what would happen, and nothing happens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import redis
import time_machine
from django.apps import apps
from django.conf import settings
from django.db import InternalError, connection
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.read_only import reading_only
from workflows.api.simulation_serializers import SimulatedPersonView, SimulationView
from workflows.engine.live import MembersReader, NotificationEffects
from workflows.engine.runner import Engine
from workflows.models import Workflow
from workflows.selectors import timeline_of
from workflows.services.ready_made import install_ready_made
from workflows.services.simulating import simulate_workflow
from workflows.services.triggering import trigger_event
from workflows.timelines import comparable

DAY = 86_400_000
MakeWorkflow = Callable[..., Workflow]


def everything_kept() -> dict[str, Any]:
    """Every row of every table, and every key of this process's corner of Redis with its value."""
    kept: dict[str, Any] = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            cursor.execute(
                f"SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM \"{table}\" t"
            )
            kept[table] = cursor.fetchone()
    client = redis.Redis.from_url(settings.REDIS_URL)
    # Other workers of the tests have names of their own there, and go on meanwhile.
    own = client.scan_iter(f"{settings.REDIS_PREFIX}:*")
    kept["redis"] = sorted((key, client.dump(key)) for key in own)
    return kept


@pytest.fixture
def welcome(organization: Organization, make_template: Callable[..., Any]) -> Workflow:
    for key in ("welcome", "profile-completion-reminder"):
        make_template(key, subject=f"{key}, {{{{ user.first_name }}}}", compiled_text="Text")
    return install_ready_made(organization=organization, key="welcome_sequence")


class TestWelcomeSequence:
    def test_real_and_simulated_timelines_are_identical(
        self, organization: Organization, welcome: Workflow, person: User
    ) -> None:
        start = now().replace(hour=10, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)
        simulated = simulate_workflow(
            organization=organization, users=[person.id], workflow=welcome, version=1, start=start
        )
        course = simulated.courses[0]
        with time_machine.travel(start, tick=False) as traveller:
            engine = Engine(
                clock=SystemClockOfTheTest(), people=MembersReader(), effects=NotificationEffects()
            )
            [execution] = trigger_event(organization=organization, event="user_registered", user=person)
            engine.run_due()
            traveller.shift(dt.timedelta(days=1))
            engine.run_due()
        execution.refresh_from_db()
        real, [run] = comparable(timeline_of(execution)), course.runs
        assert comparable(run.timeline(simulated.definition)) == real
        assert [(row["path"], row["after"]) for row in real] == [
            ("0", 0), ("1", 0), ("2", 86_400), ("3", 86_400), ("4", 86_400)
        ]  # fmt: skip
        assert [send["decisions"] for row in real for send in row["sends"]] == [
            [{"action": "send", "reason": "requested", "waits": 0.0}]
        ] * 2
        assert (run.status, run.started_at, run.finished_at) == (
            execution.status, execution.started_at, execution.finished_at
        )  # fmt: skip

    def test_no_row_and_no_key_changes(
        self, organization: Organization, welcome: Workflow, person: User
    ) -> None:
        before = everything_kept()
        simulated = simulate_workflow(
            organization=organization, users=[person.id], workflow=welcome, rendering=True
        )
        [run] = simulated.courses[0].runs
        assert run.status == "completed"
        assert [send.subject for step in run.timeline(simulated.definition) for send in step.sends] == [
            f"welcome, {person.first_name}", f"profile-completion-reminder, {person.first_name}"
        ]  # fmt: skip
        assert everything_kept() == before

    def test_a_step_that_tries_to_write_is_refused_by_postgresql(self, person: User) -> None:
        with pytest.raises(InternalError, match="read-only transaction"), reading_only():
            person.save()
        person.first_name = "Written"
        person.save()


class TestApi:
    @pytest.fixture
    def client(self, api_client: Callable[..., APIClient], staff: User) -> APIClient:
        return api_client(staff)

    def post(self, client: APIClient, **body: Any) -> Any:
        return client.post("/api/v1/workflows/welcome_sequence/simulate", body, format="json")

    def test_it_tells_the_story_in_the_shape_that_is_described(
        self, client: APIClient, welcome: Workflow, person: User
    ) -> None:
        answer = self.post(
            client,
            users=[person.email, str(person.id)],
            start="2026-12-01T09:00:00Z",
            assumptions={"attributes": [{"after": "PT12H", "set": {"profile_completion": 80}}]},
        )
        assert answer.status_code == 200, answer.json()
        told = answer.json()
        assert SimulationView(told).data.keys() == told.keys()
        [person_told] = told["people"]
        [run] = person_told["runs"]
        assert run["reason"] == "The condition 'profile_completion < 50' is false."
        assert SimulatedPersonView(person_told).data.keys() == person_told.keys()
        assert [step["status"] for step in run["steps"]] == ["done"] * 4 + ["not_reached"]
        [send] = run["steps"][1]["sends"]
        assert (send["left_at"], send["status"]) == ("2026-12-01T09:00:00Z", "sent")
        assert told["assumptions"]["opened"] is None
        assert told["summary"]["left"] == {"email": 1}
        assert person_told["happenings"][0]["at"] == "2026-12-01T21:00:00Z"

    @pytest.mark.parametrize(
        ("body", "attr"),
        [
            ({"users": []}, "users"),
            ({"users": ["nobody@example.com"]}, "users.0"),
            ({"days": 401}, "days"),
            ({"version": 7}, "version"),
            ({"start": "2036-01-01T00:00:00Z"}, "start"),
            ({"data": {"user": 1}}, "data.user"),
            (
                {"definition": {"name": "x", "type": "x", "steps": [{"type": "nap"}]}},
                "definition.steps.0.type",
            ),
            ({"assumptions": {"luck": True}}, "assumptions.luck"),
            ({"assumptions": {"opened": "soon"}}, "assumptions.opened"),
            ({"assumptions": {"events": [{"event": ""}]}}, "assumptions.events.0.event"),
            (
                {"assumptions": {"attributes": [{"after": "P1D", "set": {"a.b": 1}}]}},
                "assumptions.attributes.0.set",
            ),
            ({"assumptions": {"http": [{"status": 42}]}}, "assumptions.http.0.status"),
        ],
    )
    def test_bad_input_is_named(
        self, client: APIClient, welcome: Workflow, person: User, body: dict[str, Any], attr: str
    ) -> None:
        answer = self.post(client, **{"users": [person.email], **body})
        assert answer.status_code == 400
        assert attr in [error["attr"] for error in answer.json()["errors"]]

    def test_it_is_for_staff(
        self, api_client: Callable[..., APIClient], welcome: Workflow, person: User
    ) -> None:
        assert self.post(api_client(person), users=[person.email]).status_code == 403


class SystemClockOfTheTest:
    def now(self) -> dt.datetime:
        return now()
