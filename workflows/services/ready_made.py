"""Workflows that come with CastComm, as files."""

from __future__ import annotations

import json
from importlib import resources

from accounts.models import Organization
from workflows.models import Workflow
from workflows.services.drafts import create_workflow
from workflows.services.publishing import publish_workflow


def read_ready_made(key: str) -> str:
    """The text of the file; raises FileNotFoundError for an unknown key."""
    return resources.files("workflows").joinpath("ready_made", f"{key}.json").read_text(encoding="utf-8")


def install_ready_made(*, organization: Organization, key: str) -> Workflow:
    """Make and publish a ready-made workflow; one that is there already is left as staff have it."""
    existing: Workflow | None = Workflow.objects.for_organization(organization).filter(key=key).first()
    if existing is not None:
        return existing
    workflow = create_workflow(organization=organization, definition=json.loads(read_ready_made(key)))
    publish_workflow(workflow=workflow)
    workflow.refresh_from_db()
    return workflow
