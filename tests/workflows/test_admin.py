"""Workflows as staff meet them in the admin."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Organization, User
from notifications.models import Template
from workflows.models import Execution, Workflow
from workflows.services.triggering import trigger_event

MakeWorkflow = Callable[..., Workflow]
STOP = {"type": "stop", "reason": "Enough."}


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def page(model: str, name: str, *args: Any) -> str:
    return reverse(f"admin:workflows_{model}_{name}", args=args)


def form(workflow: Workflow, definition: Any, **fields: str) -> dict[str, str]:
    text = definition if isinstance(definition, str) else json.dumps(definition)
    managed = {
        f"versions-{name}": str(value)
        for name, value in (
            ("TOTAL_FORMS", 0),
            ("INITIAL_FORMS", 0),
            ("MIN_NUM_FORMS", 0),
            ("MAX_NUM_FORMS", 0),
        )
    }
    return {"definition": text, "reentry": workflow.reentry, "is_active": "on", **managed, **fields}


@pytest.mark.usefixtures("welcome_templates")
def test_staff_make_change_and_publish_a_workflow(
    browser: Client, organization: Organization, document_a: dict[str, Any]
) -> None:
    new = {
        "organization": str(organization.id), "definition": json.dumps(document_a), "reentry": "always",
        "is_active": "on",
    }  # fmt: skip
    assert browser.post(page("workflow", "add"), new).status_code == 302
    workflow = Workflow.objects.get()
    assert (workflow.definition, workflow.current_version) == (document_a, None)

    shown = browser.get(page("workflow", "change", workflow.id))
    assert json.dumps(document_a, indent=2) in text_of(shown)
    assert "Not yet: nothing starts it." in text_of(shown)

    document_a["name"] = "Our welcome"
    answer = browser.post(
        page("workflow", "change", workflow.id), form(workflow, document_a, publish_draft="1"), follow=True
    )
    assert "version 1 is what new executions run" in text_of(answer)
    workflow.refresh_from_db()
    assert workflow.name == "Our welcome"
    assert workflow.current_version is not None
    assert workflow.current_version.published_by.email == "desk@example.com"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ('{"name": }', "This is not JSON: Expecting value in line 1, column 10."),
        ("NaN", "This is not JSON: NaN is no JSON number."),
        ("[" * 100_000, "This is not JSON"),
        (
            {"name": "x", "type": "flow", "steps": [STOP, {"type": "delay"}]},
            "steps.1.duration: Give one of duration, untilTime, untilDate.",
        ),
        ({"name": "x", "type": "flow", "steps": [{"type": "condition", "check": "<"}]}, "steps.0.check: "),
        ({"name": "x", "type": "other", "steps": [STOP]}, "type: The type names the workflow"),
    ],
)
def test_what_is_wrong_is_said_and_the_text_is_kept(
    browser: Client, make_workflow: MakeWorkflow, definition: Any, says: str
) -> None:
    workflow = make_workflow(STOP)
    sent = form(workflow, definition)
    answer = browser.post(page("workflow", "change", workflow.id), sent)
    assert answer.status_code == 200
    assert says in text_of(answer)
    if len(sent["definition"]) < 1000 and isinstance(definition, str):
        assert definition in text_of(answer)
    before = workflow.definition
    workflow.refresh_from_db()
    assert workflow.definition == before


def test_publishing_says_which_step_lacks_its_template(browser: Client, make_workflow: MakeWorkflow) -> None:
    workflow = make_workflow(STOP)
    definition = {**workflow.definition, "steps": [{"type": "email", "template": "none"}]}
    url = page("workflow", "change", workflow.id)
    refused = browser.post(url, form(workflow, definition, publish_draft="1"))
    assert "steps.0.template: There is no published template 'none'." in text_of(refused)
    assert browser.post(url, form(workflow, definition)).status_code == 302
    assert "the draft has changed since" in text_of(browser.get(url))


def test_lists_do_not_grow_in_queries(
    browser: Client, make_workflow: MakeWorkflow, organization: Organization, person: User,
    django_assert_max_num_queries: Any,
) -> None:  # fmt: skip
    for number in range(6):
        make_workflow(STOP, key=f"flow-{number}")
    trigger_event(organization=organization, event="happened", user=person)
    with django_assert_max_num_queries(12):
        assert browser.get(page("workflow", "changelist")).status_code == 200
    with django_assert_max_num_queries(14):
        assert browser.get(page("execution", "changelist") + "?q=member").status_code == 200


def test_an_execution_shows_its_steps_and_can_be_cancelled_and_tried_again(
    browser: Client, make_workflow: MakeWorkflow, make_template: Callable[..., Template],
    organization: Organization, person: User, pass_time: Callable[..., int],
) -> None:  # fmt: skip
    make_template("news")
    make_workflow({"type": "email", "template": "news"}, {"type": "delay", "duration": 60_000})
    [execution] = trigger_event(organization=organization, event="happened", user=person)
    pass_time(seconds=1)
    url = page("execution", "change", execution.id)
    shown = text_of(browser.get(url))
    assert "waiting until" in shown
    notification = execution.step_runs.get(path="0").notification_id
    assert reverse("admin:notifications_notification_change", args=[notification]) in shown

    cancel = f"{page('execution', 'changelist')}{execution.id}/cancel/"
    assert "Steps that wait are dropped" in text_of(browser.get(cancel))
    execution.refresh_from_db()
    assert execution.status == "running"
    done = browser.post(cancel, {"reason": "Wrong person.", "_form_submitted": "True"})
    assert done["HX-Redirect"] == url
    execution.refresh_from_db()
    assert (execution.status, execution.reason) == ("cancelled", "Wrong person.")
    assert "Notifications sent before: 1" in text_of(browser.get(url))

    Execution.objects.filter(id=execution.id).update(status="failed")
    execution.step_runs.filter(path="1").update(status="dead")
    again = f"{page('execution', 'changelist')}{execution.id}/try-again/"
    browser.post(again, {"_form_submitted": "True"})
    execution.refresh_from_db()
    assert execution.status == "running"


def test_another_organizations_rows_do_not_exist(
    browser: Client,
    other_organization: Organization,
    make_workflow: MakeWorkflow,
    make_user: Callable[..., User],
) -> None:
    workflow = make_workflow(STOP, organization=other_organization)
    user = make_user(organization=other_organization)
    [execution] = trigger_event(organization=other_organization, event="happened", user=user)
    for model, row in (("workflow", workflow), ("execution", execution)):
        assert str(row.id) not in text_of(browser.get(page(model, "changelist")))
        answer = browser.get(page(model, "change", row.id))
        assert answer.status_code in {302, 404}
    cancel = f"{page('execution', 'changelist')}{execution.id}/cancel/"
    assert browser.post(cancel, {"_form_submitted": "True"}).status_code in {302, 403, 404}
    execution.refresh_from_db()
    assert execution.status == "running"
