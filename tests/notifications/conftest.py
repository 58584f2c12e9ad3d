"""An event type to send, templates to say it with, and a mail server that takes it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client, override_settings

from accounts.models import Organization, User
from notifications.models import Category, Delivery, EventType, Template
from notifications.services import breakers, dispatch, doorbell, provider_accounts, shared_scripts
from notifications.services.sending import SendResult, send_notification
from notifications.services.templates import publish_template, save_template
from notifications.vocabulary import Priority

from .smtp_server import SmtpServer, smtp_server
from .twilio_account import twilio_account, twilio_far  # noqa: F401 - fixtures

TEXTS = {
    "subject": "Hello {{ user.first_name }}",
    "text": "This is for {{ user.name }}.",
    "sms": "A short one",
    "push_title": "A push",
    "in_app_title": "News for {{ user.first_name }}",
    "in_app_body": "It says more here.",
    "action_url": "/news",
}


@pytest.fixture(autouse=True)
def _forget_silence() -> Iterator[None]:
    """A bell that fell silent in one test is not silent in the next, and no breaker is still open."""
    doorbell._silent_until = shared_scripts._silent_until = 0.0
    breakers.forget()
    yield
    doorbell._silent_until = shared_scripts._silent_until = 0.0
    breakers.forget()


@pytest.fixture
def make_template(organization: Organization) -> Callable[..., Template]:
    def make(key: str = "news", *, publish: bool = True, locale: str = "en", **fields: Any) -> Template:
        owner = fields.pop("organization", organization)
        variables, layout = fields.pop("variables", None), fields.pop("layout", None)
        kind = fields.pop("kind", "message")
        contents = fields.pop("contents", None) or {locale: fields or TEXTS}
        made = save_template(
            organization=owner,
            key=key,
            name=key,
            contents=contents,
            variables=variables,
            layout=layout,
            kind=kind,
        )
        if publish:
            publish_template(template=made)
        return made

    return make


@pytest.fixture
def make_event_type(
    organization: Organization, make_template: Callable[..., Template]
) -> Callable[..., EventType]:
    def make(key: str = "news", **fields: Any) -> EventType:
        owner = fields.pop("organization", organization)
        category, _ = Category.objects.get_or_create(
            organization=owner, key=fields.pop("category", "general"), defaults={"name": "General"}
        )
        if "template" not in fields:
            fields["template"] = make_template(f"{key}-template", organization=owner)
        return EventType.objects.create(organization=owner, key=key, name=key, category=category, **fields)

    return make


@pytest.fixture
def news(make_event_type: Callable[..., EventType]) -> EventType:
    """An event type that goes into the inbox and out by mail."""
    return make_event_type("news")


@pytest.fixture
def send(organization: Organization) -> Callable[..., SendResult]:
    def call(*recipients: Any, **fields: Any) -> SendResult:
        if not {"event_type", "template", "content"} & fields.keys():
            fields["event_type"] = "news"
        fields.setdefault("organization", organization)
        return send_notification(recipients=list(recipients), **fields)

    return call


@pytest.fixture
def use_server() -> Iterator[Callable[[SmtpServer], None]]:
    """Let the mail channel send to this server, over new connections."""
    overrides = []

    def use(server: SmtpServer, **more: Any) -> None:
        override = override_settings(SMTP_HOST="127.0.0.1", SMTP_PORT=server.port, SMTP_TIMEOUT=5.0, **more)
        override.enable()
        overrides.append(override)

    yield use
    for override in reversed(overrides):
        override.disable()


@pytest.fixture(autouse=True)
def _forget_providers() -> Iterator[None]:
    """Connections and rows of one test are not the next one's."""
    yield
    provider_accounts.forget_rows()
    for _, provider in provider_accounts._providers.values():
        provider.close()
    provider_accounts._providers.clear()


@pytest.fixture
def mail(use_server: Callable[..., None]) -> Iterator[SmtpServer]:
    """A mail server that takes everything, until it is told otherwise."""
    with smtp_server() as server:
        use_server(server)
        yield server


@pytest.fixture
def drain() -> Callable[..., int]:
    """Send what is due by mail now."""

    def run(channel: str = "email", priority: int = Priority.NORMAL, **options: Any) -> int:
        return dispatch.drain(channel, priority, **options)

    return run


@pytest.fixture
def due_now() -> Callable[[], None]:
    """Let the time pass for which deliveries wait."""

    def make_due() -> None:
        past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        Delivery.objects.filter(status__in=["pending", "deferred"]).update(due_at=past)

    return make_due


def states(**filters: Any) -> dict[str, tuple[str, str]]:
    """Channel to (status, reason) of the deliveries found."""
    found = Delivery.objects.filter(**filters).values_list("channel", "status", "reason")
    return {channel: (status, reason) for channel, status, reason in found}


@pytest.fixture
def clerk(staff: User) -> User:
    """Staff who may open the admin."""
    staff.is_staff = True
    staff.save()
    return staff


@pytest.fixture
def desk(clerk: User) -> Client:
    """A browser in which a clerk is signed in."""
    made = Client()
    made.force_login(clerk, backend="django.contrib.auth.backends.ModelBackend")
    return made


@pytest.fixture
def chief(make_user: Callable[..., User]) -> Client:
    """A browser in which a superuser is signed in."""
    made = Client()
    user = make_user("chief@example.com", is_staff=True, is_superuser=True)
    made.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return made
