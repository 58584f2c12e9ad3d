from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Membership, Organization, User
from messaging.models import Message, Thread
from messaging.services.sending import send_message
from messaging.services.threads import create_thread


def make_organization(slug: str = "") -> Organization:
    slug = slug or f"org-{uuid.uuid4().hex[:12]}"
    return Organization.objects.create(name=slug, slug=slug)


def make_member(organization: Organization, name: str, **membership: Any) -> User:
    user = User.objects.create_user(f"{name}-{uuid.uuid4().hex[:8]}@example.com", first_name=name.title())
    Membership.objects.create(organization=organization, user=user, **membership)
    return user


def open_thread(organization: Organization, *people: User, kind: str = "group", **more: Any) -> Thread:
    """A thread whose first person opened it."""
    thread, _ = create_thread(
        organization_id=organization.id,
        creator_id=people[0].id,
        kind=kind,
        participants=[person.id for person in people[1:]],
        **more,
    )
    return thread


def say(thread: Thread, sender: User, content: str = "Hello", **more: Any) -> Message:
    return send_message(
        organization_id=thread.organization_id,
        thread_id=thread.id,
        sender_id=sender.id,
        content=content,
        **more,
    ).message


@pytest.fixture
def organization(db: None) -> Organization:
    return make_organization()


@pytest.fixture
def ada(organization: Organization) -> User:
    return make_member(organization, "ada")


@pytest.fixture
def ben(organization: Organization) -> User:
    return make_member(organization, "ben")


@pytest.fixture
def cleo(organization: Organization) -> User:
    return make_member(organization, "cleo")


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in
