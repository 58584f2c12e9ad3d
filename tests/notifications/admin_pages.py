"""How a person goes through the admin: lists, pages, the buttons on them, and the actions of lists."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from accounts.models import Organization, User
from notifications.models import Notification
from notifications.services.sending import send_notification


def send(organization: Organization, *people: User, **more: Any) -> list[Notification]:
    given = {
        "content": {"title": "News", "body": "Something happened."},
        "channels": ["in_app", "email"],
        **more,
    }
    result = send_notification(organization=organization, recipients=list(people), **given)
    return list(Notification.objects.filter(request_id=result.request_id))


def list_page(model: str) -> str:
    return reverse(f"admin:notifications_{model}_changelist")


def page_of(row: Any, page: str = "change") -> str:
    return reverse(f"admin:notifications_{row._meta.model_name}_{page}", args=[row.pk])


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return response.content.decode()


def press(client: Client, row: Any, action: str, **data: Any) -> Any:
    """Press a button of the row's page and confirm its dialog."""
    address = reverse(f"admin:notifications_{row._meta.model_name}_{action}", args=[row.pk])
    return client.post(address, {"_form_submitted": "on", **data}, headers={"HX-Request": "true"})


def run(client: Client, action: str, *rows: Any) -> str:
    """Run an action of the list on rows; returns the page that follows."""
    address = list_page(rows[0]._meta.model_name)
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(address, chosen, follow=True).content.decode()
