"""Rows of a foreign organization, one maker per parameter of the API's addresses.

``tests/accounts/test_tenancy.py`` walks every address under ``/api/v1/``. An address with a parameter that is
not listed here fails it: say which row the parameter names, so that the walk can ask for somebody else's.

A key is ``"<first segment>.<parameter>"`` or, for all addresses, ``"<parameter>"``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.models import Organization, User
from accounts.services.api_keys import create_api_key

# Stands in every text of a foreign row; it must never be seen from outside.
MARK = "FOREIGN-ROW"


@dataclass
class Foreign:
    """Another organization, with two people of its own."""

    organization: Organization
    user: User
    second_user: User

    @functools.cached_property
    def api_key(self) -> Any:
        key, _ = create_api_key(organization=self.organization, name=MARK, scopes=["admin"])
        return key

    @functools.cached_property
    def thread(self) -> Any:
        from messaging.services.threads import create_thread

        thread, _ = create_thread(
            organization_id=self.organization.id,
            creator_id=self.user.id,
            kind="group",
            subject=MARK,
            participants=[self.second_user.id],
        )
        return thread

    @functools.cached_property
    def message(self) -> Any:
        from messaging.services.sending import send_message

        return send_message(
            organization_id=self.organization.id,
            thread_id=self.thread.id,
            sender_id=self.user.id,
            content=MARK,
        ).message

    @functools.cached_property
    def template(self) -> Any:
        from notifications.services.templates import save_template

        contents = {"en": {"in_app_title": MARK, "in_app_body": MARK}}
        return save_template(organization=self.organization, key="foreign-row", name=MARK, contents=contents)

    @functools.cached_property
    def notification_id(self) -> str:
        from notifications.services.sending import send_notification

        result = send_notification(
            organization=self.organization,
            recipients=[self.user],
            content={"title": MARK, "body": MARK},
            channels=["in_app"],
        )
        return str(result.notifications[0].id)

    @functools.cached_property
    def digest_window(self) -> Any:
        from castcomm.common.clock import now
        from notifications.models import DigestWindow

        return DigestWindow.objects.create(
            organization=self.organization, user=self.user, cadence="hourly", zone="UTC", closes_at=now()
        )

    @functools.cached_property
    def push_subscription(self) -> Any:
        from notifications.models import PushSubscription

        return PushSubscription.objects.create(
            organization=self.organization, user=self.user, device_name=MARK, endpoint_index="0" * 32
        )

    @functools.cached_property
    def suppression(self) -> Any:
        from notifications.services.suppressions import suppress_address

        return suppress_address(
            organization=self.organization, channel="email", address="foreign@example.org", detail=MARK
        )

    @functools.cached_property
    def webhook_endpoint(self) -> Any:
        from notifications.models import WebhookEndpoint

        return WebhookEndpoint.objects.create(
            organization=self.organization, url=f"https://example.com/{MARK}", description=MARK
        )

    @functools.cached_property
    def webhook_delivery(self) -> Any:
        from notifications.services.webhook_endpoints import send_test

        return send_test(endpoint=self.webhook_endpoint)

    @functools.cached_property
    def topic(self) -> Any:
        from notifications.models import Topic

        return Topic.objects.create(organization=self.organization, key="foreign-topic", name=MARK)

    @functools.cached_property
    def recipient_list(self) -> Any:
        from notifications.models import RecipientList

        return RecipientList.objects.create(organization=self.organization, key="foreign-list", name=MARK)

    @functools.cached_property
    def broadcast(self) -> Any:
        from notifications.models import Broadcast
        from notifications.services.sending import send_notification

        sent = send_notification(
            organization=self.organization, recipients=[{"organization": True}], content={"title": MARK}
        )
        return Broadcast.objects.get(request_id=sent.request_id)

    @functools.cached_property
    def workflow(self) -> Any:
        from workflows.services.drafts import create_workflow
        from workflows.services.publishing import publish_workflow

        definition = {
            "name": MARK,
            "type": "foreign-row",
            "triggerEvent": "foreign_event",
            "steps": [{"type": "delay", "duration": 86_400_000}],
        }
        workflow = create_workflow(organization=self.organization, definition=definition)
        publish_workflow(workflow=workflow)
        return workflow

    @functools.cached_property
    def execution(self) -> Any:
        from workflows.services.triggering import trigger_event

        assert self.workflow
        (execution,) = trigger_event(organization=self.organization, event="foreign_event", user=self.user)
        return execution


RowMaker = Callable[[Foreign], str]

ROWS: dict[str, RowMaker] = {
    "members.user_id": lambda foreign: str(foreign.second_user.id),
    "api-keys.key_id": lambda foreign: str(foreign.api_key.id),
    "threads.thread_id": lambda foreign: str(foreign.thread.id),
    "threads.participant_id": lambda foreign: str(foreign.second_user.id),
    "threads.change": lambda foreign: "archive",
    "messages.message_id": lambda foreign: str(foreign.message.id),
    "digests.window_id": lambda foreign: str(foreign.digest_window.id),
    "notifications.notification_id": lambda foreign: foreign.notification_id,
    "notifications.key": lambda foreign: "open",
    "templates.template_id": lambda foreign: str(foreign.template.id),
    "suppressions.suppression_id": lambda foreign: str(foreign.suppression.id),
    "push.notification_id": lambda foreign: foreign.notification_id,
    "push.subscription_id": lambda foreign: str(foreign.push_subscription.id),
    "webhook-endpoints.endpoint_id": lambda foreign: str(foreign.webhook_endpoint.id),
    "webhook-endpoints.delivery_id": lambda foreign: str(foreign.webhook_delivery.id),
    "topics.key": lambda foreign: foreign.topic.key,
    "lists.key": lambda foreign: foreign.recipient_list.key,
    "broadcasts.broadcast_id": lambda foreign: str(foreign.broadcast.id),
    "workflows.key": lambda foreign: foreign.workflow.key,
    "workflows.number": lambda foreign: 1,
    "workflow-executions.execution_id": lambda foreign: str(foreign.execution.id),
}

# Where a view reads the body before it looks for the row: a body it accepts, by method and address.
BODIES: dict[tuple[str, str], Callable[[Foreign], Any]] = {
    ("PATCH", "push/subscriptions/{subscription_id}"): lambda _: {"device_name": "Mine"},
    ("PATCH", "messages/{message_id}"): lambda foreign: {"content": "x"},
    ("POST", "threads/{thread_id}/messages"): lambda foreign: {"content": "x", "client_id": "c1"},
    ("POST", "threads/{thread_id}/participants"): lambda foreign: {"participants": ["owner@example.com"]},
    ("PATCH", "threads/{thread_id}/participants/{participant_id}"): lambda foreign: {"role": "member"},
}
