"""A draft tried on runs that happened, and what the commands print."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from accounts.models import Membership, Organization, User
from castcomm.common.clock import VirtualClock
from workflows.api.simulation_serializers import BacktestView
from workflows.engine.live import MembersReader, NotificationEffects
from workflows.engine.runner import Engine
from workflows.models import Execution, StepRun, Workflow
from workflows.services.backtesting import Backtest, backtest_workflow
from workflows.services.ready_made import install_ready_made
from workflows.services.triggering import trigger_event

PassTime = Callable[..., int]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def welcome(
    organization: Organization,
    make_template: Callable[..., Any],
    make_user: Callable[..., User],
    pass_time: PassTime,
) -> Workflow:
    """The welcome sequence after three people went through it; the second filled their profile on the way."""
    for key in ("welcome", "profile-completion-reminder", "tips"):
        make_template(key, subject=f"{key} for you", compiled_text="Text")
    made = install_ready_made(organization=organization, key="welcome_sequence")
    people = [make_user(organization=organization, attributes={"profile_completion": 30}) for _ in range(3)]
    for person in people:
        trigger_event(organization=organization, event="user_registered", user=person)
    pass_time(seconds=1)
    people[1].attributes = {"profile_completion": 80}
    people[1].save()
    pass_time(days=1, minutes=1)
    for person in people:
        person.attributes = {"profile_completion": 95}
        person.save()
    return made


def kinds(backtest: Backtest) -> list[list[str]]:
    """Of each execution, the first one first."""
    return [[each.kind for each in one.differences or ()] for one in reversed(backtest.compared)]


def test_the_same_definition_makes_no_difference(organization: Organization, welcome: Workflow) -> None:
    same = backtest_workflow(organization=organization, workflow=welcome)
    assert kinds(same) == [[], [], []]
    assert (same.counts()["executions"], same.counts()["different"]) == (3, 0)


def test_a_draft_that_asks_later_and_sends_more(organization: Organization, welcome: Workflow) -> None:
    steps = json.loads(json.dumps(welcome.definition["steps"]))
    steps[2]["duration"] = 3 * 86_400_000
    steps[3]["check"] = "profile_completion < 20"
    steps.insert(2, {"type": "email", "template": "tips"})
    draft = {**welcome.definition, "steps": steps}
    tried = backtest_workflow(organization=organization, workflow=welcome, definition=draft)
    told = [[each.sentence for each in one.differences or ()] for one in reversed(tried.compared)]
    assert "email tips would be sent as well, at once." in told[0]
    assert "email profile-completion-reminder would not be sent." in told[0]
    assert "It would end 2 days later." in told[0]
    assert "stopped instead of completed: The condition 'profile_completion < 20' is false." in told[0]
    counts = tried.counts()
    assert (counts["send_added"], counts["send_dropped"], counts["ends_otherwise"]) == (3, 2, 2)


def test_the_api_tells_it_and_nothing_is_written(
    organization: Organization, welcome: Workflow, api_client: Callable[..., APIClient], staff: User
) -> None:
    client, before = api_client(staff), list(Execution.objects.order_by("id").values())
    Membership.objects.filter(user=Execution.objects.earliest("created_at").user).update(is_active=False)
    answer = client.post("/api/v1/workflows/welcome_sequence/backtest", {"last": 3}, format="json")
    assert answer.status_code == 200, answer.json()
    told = answer.json()
    assert BacktestView(told).data.keys() == told.keys()
    assert (told["counts"]["executions"], told["counts"]["not_tried"]) == (3, 1)
    assert told["executions"][-1]["differences"] is None
    assert list(Execution.objects.order_by("id").values()) == before
    refused = client.post("/api/v1/workflows/welcome_sequence/backtest", {"last": 1001}, format="json")
    assert refused.json()["errors"][0]["attr"] == "last"


def test_the_commands_print_the_story(organization: Organization, welcome: Workflow, person: User) -> None:
    printed = run("simulate", "welcome_sequence", "--user", person.email, "--start", "2026-12-01T09:00:00Z")
    assert "Welcome Sequence, draft, simulated from 2026-12-01 09:00:00 UTC" in printed
    assert "email: goes out 2026-12-01 09:00:00 UTC  'welcome for you'" in printed
    assert "profile_completion < 50 is true (profile_completion = 30)" in printed
    assumed = '{"attributes": [{"after": "PT1H", "set": {"profile_completion": 80}}]}'
    told = json.loads(
        run("simulate", "welcome_sequence", "--user", person.email, "--assume", assumed, "--json")
    )
    assert told["people"][0]["runs"][0]["status"] == "stopped"
    welcome.definition = {**welcome.definition, "steps": welcome.definition["steps"][:2]}
    welcome.save()
    printed = run("backtest", "welcome_sequence", "--last", "2", "--organization", organization.slug)
    assert "email profile-completion-reminder would not be sent." in printed
    assert "tried on 2 executions. Nothing was sent." in printed
    for wrong in (("--start", "soon"), ("--assume", "{"), ("--days", "500")):
        with pytest.raises(CommandError):
            run("simulate", "welcome_sequence", "--user", person.email, *wrong)


def test_a_run_on_scaled_time_and_its_simulation_are_identical(
    organization: Organization, welcome: Workflow, person: User, clock: VirtualClock
) -> None:
    engine = Engine(clock=clock, people=MembersReader(), effects=NotificationEffects(), time_scale=2880)
    [execution] = trigger_event(organization=organization, event="user_registered", user=person)
    engine.run_due()
    clock.advance_to(clock.now() + dt.timedelta(seconds=30.4))
    engine.run_due()
    printed = run("simulate", "welcome_sequence", "--user", person.email, "--beside", str(execution.id))
    assert printed.count("same  ") == 5
    assert "4    email          done         +1 day, 0:00:00" in printed
    assert printed.endswith("The timelines are identical.\n")
    StepRun.objects.filter(execution=execution, path="4").update(result={"template": "another"})
    printed = run("simulate", "welcome_sequence", "--user", person.email, "--beside", str(execution.id))
    assert printed.endswith("The timelines differ.\n")


def test_runs_under_way_are_compared_as_of_now(
    organization: Organization, welcome: Workflow, person: User, pass_time: PassTime
) -> None:
    trigger_event(organization=organization, event="user_registered", user=person)
    pass_time(seconds=1)
    [compared] = backtest_workflow(organization=organization, workflow=welcome, last=1).compared
    assert (compared.execution.status, compared.differences) == ("running", [])
    assert compared.execution.started_at < dt.datetime.now(dt.UTC)
