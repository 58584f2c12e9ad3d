"""Workflows that come with CastComm, as files: definitions as document A writes them."""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib import resources
from typing import Any

from django.db import transaction

from accounts.models import Organization
from castcomm.common.as_code.installing import Found, Installed
from notifications.services import ready_made as messages
from workflows.models import Reentry, Workflow
from workflows.services.drafts import create_workflow
from workflows.services.publishing import publish_workflow

# In the order in which they are shown. Those that start by themselves for people who are there already, or beside
# mails that a product may send by other means, are switched on by staff.
SWITCHED_ON = ("welcome_sequence",)
SWITCHED_OFF = {
    "profile_completion": Reentry.ONCE,
    "password_reset": Reentry.ALWAYS,
    "activity_digest": Reentry.ALWAYS,
    "re_engagement": Reentry.ONE_AT_A_TIME,
    "unread_chat_follow_up": Reentry.ONE_AT_A_TIME,
}
KEYS = (*SWITCHED_ON, *SWITCHED_OFF)


def read_ready_made(key: str) -> str:
    """The text of the file; raises FileNotFoundError for an unknown key."""
    return resources.files("workflows").joinpath("ready_made", f"{key}.json").read_text(encoding="utf-8")


def install_ready_made(*, organization: Organization, key: str) -> Workflow:
    """Make and publish a ready-made workflow; one that is there already is left as staff have it.

    The templates and event types that it names must be there (``install_everything`` sees to it).
    """
    existing: Workflow | None = Workflow.objects.for_organization(organization).filter(key=key).first()
    if existing is not None:
        return existing
    workflow = create_workflow(
        organization=organization,
        definition=json.loads(read_ready_made(key)),
        reentry=SWITCHED_OFF.get(key, Reentry.ALWAYS),
        is_active=key in SWITCHED_ON,
    )
    publish_workflow(workflow=workflow)
    workflow.refresh_from_db()
    return workflow


def install_everything(*, organization: Organization, only: Collection[str] | None = None) -> list[Installed]:
    """Add the messages and workflows that are missing: all, or those of ``only`` with what they refer to."""
    chosen = [key for key in KEYS if only is None or key in only or f"workflows/{key}" in only]
    named = None if only is None else {*only, *(name for key in chosen for name in _needs(key))}
    with transaction.atomic():
        done = messages.install_ready_made(organization=organization, only=named)
        there = {row.key: row.definition for row in Workflow.objects.for_organization(organization)}
        for key in chosen:
            if key not in there:
                install_ready_made(organization=organization, key=key)
                found = Found.ADDED
            else:
                is_same = there[key] == json.loads(read_ready_made(key))
                found = Found.AS_IT_COMES if is_same else Found.CHANGED
            done.append(Installed(f"workflows/{key}", found))
    return done


def _needs(key: str) -> set[str]:
    """The templates and event types that the workflow's steps name, at any depth."""
    found: set[str] = set()
    pending: list[Any] = [json.loads(read_ready_made(key))]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
            found |= {f"templates/{value['template']}"} if isinstance(value.get("template"), str) else set()
            found |= (
                {f"event_types/{value['eventType']}"} if isinstance(value.get("eventType"), str) else set()
            )
    return found
