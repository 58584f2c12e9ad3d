"""The workflows that come with CastComm, and the command that installs them with their messages."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Organization
from notifications.models import Template
from notifications.services.ready_made import ready_made
from workflows.models import Workflow
from workflows.services.drafts import update_workflow
from workflows.services.publishing import publish_workflow
from workflows.services.ready_made import KEYS, SWITCHED_ON, read_ready_made


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
