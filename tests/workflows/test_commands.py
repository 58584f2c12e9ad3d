"""What the commands print, and the bell that asks for a worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.management import CommandError, call_command
from django_celery_beat.models import PeriodicTask

from accounts.models import Organization, User
from castcomm.common.schedules import write_schedules
from workflows import doorbell
from workflows.models import Execution, Workflow
from workflows.services.ready_made import install_ready_made
from workflows.services.triggering import trigger_event
from workflows.tasks import tick

STOP = {"type": "stop", "reason": "Enough."}


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("welcome_templates")
def test_trigger_and_status_tell_the_story(organization: Organization, person: User, pass_time: Any) -> None:
    install_ready_made(organization=organization, key="welcome_sequence")
    printed = run("trigger", "user_registered", "--user", person.email, "--data", '{"a": 1}', "--wait", "0")
    execution = Execution.objects.get()
    assert f"execution {execution.id}  Welcome Sequence, version 1" in printed
    assert f"manage.py workflow_status {execution.id}" in printed
    assert execution.data == {"a": 1}
    pass_time(seconds=1)
    status = run("workflow_status", str(execution.id))
    assert "Welcome Sequence, version 1, for member@example.com" in status
    assert "waiting until" in status
    assert "not reached" in status
    pass_time(days=2)
    status = run("workflow_status", str(execution.id))
    assert "completed" in status
    assert "profile_completion < 50 is true (profile_completion = 30)" in status
    assert status.count("notification ") == 2


def test_trigger_says_when_no_worker_comes(
    organization: Organization, person: User, make_workflow: Callable[..., Workflow]
) -> None:
    make_workflow(STOP)
    assert "is one running?" in run("trigger", "happened", "--user", person.email, "--wait", "0.1")


def test_trigger_says_what_did_not_start(
    organization: Organization, person: User, make_workflow: Callable[..., Workflow]
) -> None:
    assert "No active workflow listens" in run("trigger", "happened", "--user", person.email)
    make_workflow(STOP, reentry="once")
    run("trigger", "happened", "--user", person.email, "--wait", "0")
    assert "not started: flow: The person has been" in run("trigger", "happened", "--user", person.email)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--user", "nobody@example.com"), "No active member of any organization"),
        (("--user", "member@example.com", "--data", "{"), "--data is not JSON"),
        (("--user", "member@example.com", "--data", "[]"), "data: Data must be an object."),
        (("--user", "member@example.com", "--organization", "nowhere"), "no active organization 'nowhere'"),
    ],
)
def test_trigger_refuses_with_a_sentence(
    organization: Organization, person: User, arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(CommandError, match=says.replace("[", r"\[").replace(".", r"\.")):
        run("trigger", "happened", *arguments)


def test_trigger_asks_which_organization(
    organization: Organization, other_organization: Organization, make_user: Callable[..., User],
    make_workflow: Callable[..., Workflow],
) -> None:  # fmt: skip
    from accounts.services.organizations import add_member

    user = make_user("both@example.com", organization=organization)
    add_member(organization=other_organization, user=user)
    with pytest.raises(CommandError, match=f"{organization.slug}, {other_organization.slug}"):
        run("trigger", "happened", "--user", user.email)
    make_workflow(STOP, organization=other_organization)
    run("trigger", "happened", "--user", user.email, "--organization", other_organization.slug, "--wait", "0")
    assert Execution.objects.get().organization == other_organization


@pytest.mark.django_db
def test_an_unknown_execution_is_an_error() -> None:
    for name in ("nonsense", "01890000-0000-7000-8000-000000000000"):
        with pytest.raises(CommandError, match="There is no execution"):
            run("workflow_status", name)


@pytest.mark.django_db
def test_the_demo_is_loaded_once(settings: Any) -> None:
    settings.DEBUG = True
    first, second = run("demo"), run("demo")
    assert "demo-actor@example.com" in first
    assert "was there already" in second
    workflow = Workflow.objects.get(key="welcome_sequence")
    assert workflow.current_version is not None
    assert workflow.versions.count() == 1
    printed = run("trigger", "user_registered", "--user", "demo-actor@example.com", "--wait", "0")
    assert "sent for the event itself" in printed


@pytest.mark.django_db
def test_the_demo_stays_out_of_production(settings: Any) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG"):
        run("demo")


@pytest.mark.django_db
def test_beat_rings_every_second() -> None:
    write_schedules()
    task = PeriodicTask.objects.get(name="workflows: run due steps")
    assert (task.task, task.queue, task.interval.every) == (tick.name, "workflows", 1)


@pytest.fixture
def rings() -> Callable[[], list[str]]:
    """The tasks that wait in the queue; asking empties it."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    queue = f"{settings.REDIS_PREFIX}:celery:{doorbell.QUEUE}"

    def read() -> list[str]:
        return [json.loads(message)["headers"]["task"] for message in client.lpop(queue, 100) or []]

    return read


def test_a_commit_rings_once_until_it_is_heard(
    organization: Organization, person: User, make_workflow: Callable[..., Workflow],
    django_capture_on_commit_callbacks: Any, rings: Callable[[], list[str]],
) -> None:  # fmt: skip
    make_workflow(STOP)
    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            trigger_event(organization=organization, event="happened", user=person)
    assert rings() == ["workflows.tasks.tick"]
    tick()
    assert Execution.objects.filter(status="stopped").count() == 3
    with django_capture_on_commit_callbacks(execute=True):
        trigger_event(organization=organization, event="happened", user=person)
    assert rings() == ["workflows.tasks.tick"]
