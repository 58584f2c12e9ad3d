"""The workflows that come with CastComm, and the command that installs them with their messages."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Organization, User
from notifications.models import Notification, Template
from notifications.services.ready_made import ready_made
from workflows.models import Execution, Workflow
from workflows.services.drafts import update_workflow
from workflows.services.publishing import publish_workflow
from workflows.services.ready_made import KEYS, SWITCHED_ON, read_ready_made
from workflows.services.triggering import report_event


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("install_ready_made", *arguments, stdout=out)
    return out.getvalue()


def test_everything_is_installed_published_and_left_alone_the_next_time(organization: Organization) -> None:
    printed = run()
    rows = {row.key: row for row in Workflow.objects.for_organization(organization)}
    assert set(rows) == set(KEYS)
    assert all(row.current_version is not None for row in rows.values())
    assert {key for key, row in rows.items() if row.is_active} == set(SWITCHED_ON)
    assert "+ templates/welcome\n" in printed
    assert "+ workflows/password_reset: published, switched off\n" in printed

    changed = json.loads(read_ready_made("welcome_sequence")) | {"name": "Ours"}
    update_workflow(workflow=rows["welcome_sequence"], definition=changed)
    printed = run("--organization", organization.slug)
    assert "  workflows/welcome_sequence: there, and changed\n" in printed
    assert "  templates/welcome: there, as it comes\n" in printed
    assert "0 added" in printed
    assert Workflow.objects.get(key="welcome_sequence").name == "Ours"


@pytest.mark.parametrize("key", KEYS)
def test_each_comes_with_all_that_it_names(organization: Organization, key: str) -> None:
    run("--only", f"workflows/{key}")
    workflow = Workflow.objects.get()
    assert workflow.key == key
    assert publish_workflow(workflow=workflow).number == 1
    assert Template.objects.for_organization(organization).filter(key="layout").exists()


@pytest.fixture
def switched_on(organization: Organization, person: User) -> Callable[[str], None]:
    def switch(key: str) -> None:
        run("--only", f"workflows/{key}")
        update_workflow(workflow=Workflow.objects.get(key=key), is_active=True)

    return switch


def sent() -> list[tuple[str, dict[str, Any]]]:
    rows = Notification.objects.order_by("created_at", "id").select_related("event_type", "request")
    return [(row.event_type.key, row.request.data) for row in rows]


def test_unread_messages_are_followed_up_until_they_are_read(
    organization: Organization, person: User, switched_on: Any, pass_time: Any
) -> None:
    switched_on("unread_chat_follow_up")
    report = functools.partial(report_event, organization=organization, user=person)
    report(event="chat_unread", data={"count": 3, "senders": ["Demo One"]})
    pass_time(seconds=1)
    assert sent() == []
    pass_time(minutes=16)
    assert [key for key, _ in sent()] == ["chat_unread"]
    report(event="chat_read")
    pass_time(days=2)
    assert Execution.objects.get().reason == "The messages were read."
    report(event="chat_unread", data={"count": 1})
    pass_time(seconds=1)
    pass_time(minutes=16)
    pass_time(days=1, minutes=1)
    assert [key for key, _ in sent()] == ["chat_unread", "chat_unread", "direct"]


def test_activity_of_an_hour_is_one_message(
    organization: Organization, person: User, switched_on: Any, pass_time: Any
) -> None:
    switched_on("activity_digest")
    for number in range(3):
        report_event(
            organization=organization, user=person, event="activity", data={"title": f"Thing {number}"}
        )
        pass_time(minutes=1)
    pass_time(hours=1)
    [(key, data)] = sent()
    assert (key, data["count"]) == ("activity_summary", 3)
    assert [one["title"] for one in data["items"]] == ["Thing 0", "Thing 1", "Thing 2"]
    assert Notification.objects.get().title == "3 new things"


def test_unknown_names_and_unclear_organizations_are_refused(
    organization: Organization, other_organization: Organization
) -> None:
    with pytest.raises(CommandError, match="no ready-made 'welcom'; there are categories/account"):
        run("--only", "welcom", "--organization", organization.slug)
    with pytest.raises(CommandError, match="Name an organization"):
        run()
    assert not Template.objects.exists()


def test_the_page_names_all_that_there_is_and_what_starts_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ready-made.md").read_text()
    templates, event_types = (ready_made().documents[kind] for kind in ("templates", "event_types"))
    for key, document in event_types.items():
        assert f"| `{document.fields['template']}` | `{key}`" in page
    for key, document in templates.items():
        assert all(name in page for name in document.fields.get("variables", ()) if key != "digest")
    for key in KEYS:
        definition = json.loads(read_ready_made(key))
        ends = "".join(f"`{name}`" for name in definition.get("cancelOn", ()))
        row = next(
            line for line in page.splitlines() if line.startswith(f"| `{key}` |") and line.count("|") == 5
        )
        assert f"| `{definition['triggerEvent']}` |" in row
        assert row.endswith(f"| {ends} |" if ends else "| |")
