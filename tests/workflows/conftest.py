"""A workflow to run, templates for its mails, and an engine whose clock the test moves."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization, User
from accounts.models.organizations import Role
from castcomm.common.clock import VirtualClock, now
from notifications.models import Template, TemplateContent, TemplateVersion
from tests.conftest import BACKEND
from workflows.engine.live import MembersReader, NotificationEffects
from workflows.engine.runner import Engine
from workflows.models import Execution, Workflow
from workflows.services.drafts import create_workflow
from workflows.services.publishing import publish_workflow
from workflows.services.ready_made import read_ready_made
from workflows.services.triggering import trigger_workflow


@pytest.fixture
def document_a() -> dict[str, Any]:
    """The workflow as document A prints it."""
    definition: dict[str, Any] = json.loads(read_ready_made("welcome_sequence"))
    return definition


@pytest.fixture
def make_template(organization: Organization) -> Callable[..., Template]:
    """A published template that can be sent on every channel."""

    def make(key: str, *, organization: Organization = organization, **content: Any) -> Template:
        template = Template.objects.create(organization=organization, key=key, name=key)
        version = TemplateVersion.objects.create(
            template=template, number=1, status="published", published_at=now()
        )
        fields = {"subject": f"About {key}", "text": f"This is {key}.", "in_app_title": key, **content}
        TemplateContent.objects.create(version=version, locale="en", **fields)
        return template

    return make


@pytest.fixture
def welcome_templates(make_template: Callable[..., Template]) -> None:
    make_template("welcome")
    make_template("profile-completion-reminder")


@pytest.fixture
def make_workflow(organization: Organization) -> Callable[..., Workflow]:
    """A published workflow of the given steps."""

    def make(*steps: dict[str, Any], key: str = "flow", event: str = "happened", **fields: Any) -> Workflow:
        owner = fields.pop("organization", organization)
        definition = {"name": key.title(), "type": key, "triggerEvent": event, "steps": list(steps)}
        workflow = create_workflow(organization=owner, definition=definition, **fields)
        publish_workflow(workflow=workflow)
        workflow.refresh_from_db()
        return workflow

    return make


@pytest.fixture
def clock() -> VirtualClock:
    # Ahead of the machine's clock by less than a lease: what a test triggers is due, however slow the machine is.
    return VirtualClock(now() + dt.timedelta(seconds=50))


@pytest.fixture
def engine(clock: VirtualClock) -> Engine:
    return Engine(clock=clock, people=MembersReader(), effects=NotificationEffects())


@pytest.fixture
def pass_time(engine: Engine, clock: VirtualClock) -> Callable[..., int]:
    """``pass_time(days=1)`` moves the clock and lets the engine run what is due by then."""

    def run(**span: float) -> int:
        clock.advance_to(clock.now() + dt.timedelta(**span))
        return engine.run_due()

    return run


@pytest.fixture
def person(member: User) -> User:
    """A member whose profile is 30 percent complete."""
    member.attributes = {"profile_completion": 30}
    member.save()
    return member


@pytest.fixture
def browser(make_user: Callable[..., User], organization: Organization) -> Client:
    user = make_user("desk@example.com", organization=organization, role=Role.STAFF, is_staff=True)
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def under_way(
    make_workflow: Callable[..., Workflow],
    organization: Organization,
    person: User,
    pass_time: Callable[..., int],
) -> tuple[Workflow, Execution]:
    """A run that sleeps in a step with an id."""
    workflow = make_workflow(
        {"type": "delay", "duration": 0},
        {"type": "delay", "duration": 86_400_000, "id": "wait"},
        {"type": "stop", "reason": "done"},
    )
    execution = trigger_workflow(organization=organization, workflow="flow", user=person)
    pass_time(seconds=1)
    return workflow, execution
