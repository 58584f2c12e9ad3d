"""Publishing in the admin: what it would change is seen first, and what becomes of the runs is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization, User
from tests.workflows.test_admin import page, text_of
from tests.workflows.test_publishing import WAIT, state, write
from workflows.models import Execution, Workflow

pytestmark = pytest.mark.django_db
UnderWay = tuple[Workflow, Execution]


def test_the_page_says_what_would_change_and_does_what_is_chosen(
    browser: Client, under_way: UnderWay
) -> None:
    workflow, execution = under_way
    write(workflow, WAIT, {"type": "stop", "reason": "<b>another</b> end"})
    address = page("workflow", "publish", workflow.pk)
    answer = browser.get(address)
    shown = text_of(answer).replace("<code>", "").replace("</code>", "")
    for words in ("removed", "moved", "Would go on at", "happened came 0 times"):
        assert words in shown
    assert "It is what runs already" not in shown
    assert "<b>another</b>" not in answer.content.decode()
    assert browser.post(address, {"running": "somehow", "unmapped": "stay"}).status_code == 200
    assert state(execution) == ("running", 1, ["1"])
    done = browser.post(address, {"running": "migrate", "unmapped": "stay"}, follow=True)
    assert "version 2 is what new executions run. Of the executions under way, 1 go on in it." in text_of(
        done
    )
    assert state(execution) == ("running", 2, ["0"])

    back = browser.get(address, {"version": "1"})
    assert "Publish version 1 again" in text_of(back)
    done = browser.post(address, {"running": "cancel", "unmapped": "stay", "version": "1"}, follow=True)
    assert "version 3 is what new executions run. Of the executions under way, 1 were cancelled." in text_of(
        done
    )
    assert state(execution)[0] == "cancelled"


def test_a_draft_that_is_refused_is_told_and_nothing_happens(browser: Client, under_way: UnderWay) -> None:
    workflow, execution = under_way
    write(workflow, {"type": "email", "template": "nowhere"})
    address = page("workflow", "publish", workflow.pk)
    assert "This cannot be published" in text_of(browser.get(address))
    refused = browser.post(address, {"running": "cancel", "unmapped": "stay"})
    assert "steps.0.template: There is no published template 'nowhere'." in text_of(refused)
    assert state(execution) == ("running", 1, ["1"])


def test_it_is_for_staff_of_the_organization_alone(
    under_way: UnderWay,
    make_user: Callable[..., User],
    other_organization: Organization,
    member: User,
) -> None:
    workflow, _ = under_way
    stranger = make_user(organization=other_organization, role="staff", is_staff=True)
    for user in (stranger, member):
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        answer: Any = client.get(page("workflow", "publish", workflow.pk))
        assert answer.status_code in (302, 404)


def test_a_workflow_stands_still_and_goes_on(
    browser: Client, under_way: UnderWay, pass_time: Callable[..., int], api_client: Any, owner: User
) -> None:
    workflow, execution = under_way
    shown = text_of(browser.get(page("workflow", "change", workflow.pk)))
    assert page("workflow", "pause", workflow.pk) in shown
    assert page("workflow", "resume", workflow.pk) not in shown
    answered = {"_form_submitted": "on"}
    browser.post(page("workflow", "pause", workflow.pk), answered, headers={"HX-Request": "true"})
    workflow.refresh_from_db()
    assert workflow.paused_at is not None
    pass_time(days=2)
    assert state(execution) == ("running", 1, [])

    client, address = api_client(owner), "/api/v1/workflows/flow"
    assert client.post(f"{address}/pause").status_code == 409
    assert client.get(address).json()["paused_at"] is not None
    assert client.post(f"{address}/resume").json()["paused_at"] is None
    assert client.post(f"{address}/resume").status_code == 409
    pass_time(seconds=1)
    assert state(execution)[0] == "stopped"
