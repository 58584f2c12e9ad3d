"""No endpoint reaches into a private network: not when it is registered, and not when its name moves later."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization
from castcomm.common.errors import InvalidInput
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.services.webhook_endpoints import change_endpoint, create_endpoint
from tests.notifications.hook_server import HookServer, Reply

from .conftest import Publish

pytestmark = pytest.mark.django_db

PUBLIC = "93.184.215.14"


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let ``hooks.example.com`` lead to an address; every other name is looked up as ever."""
    real = socket.getaddrinfo
    leads = {"to": PUBLIC}

    def looked_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        return real(leads["to"] if host == "hooks.example.com" else host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return lambda address: leads.update(to=address)


FORBIDDEN = [
    "https://127.0.0.1/",
    "https://localhost/",
    "https://10.0.0.8/hook",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://192.168.1.1:8443/",
    "https://0.0.0.0/",
    "https://2130706433/",
]


@pytest.mark.parametrize("url", FORBIDDEN)
def test_a_private_address_is_not_taken(organization: Organization, settings: Any, url: str) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = False
    with pytest.raises(InvalidInput) as refused:
        create_endpoint(organization=organization, url=url)
    assert (refused.value.attr, refused.value.code) == ("url", "http_forbidden_address")
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example.com", "ftp://hooks.example.com/", "https://user@hooks.example.com/", "https:///x",
     "https://hooks.example.com/#part", "http://hooks.example.com/", "https://hooks.example.com/" + "x" * 2000,
     "https://hooks.example.com/a b", "javascript:alert(1)"],
)  # fmt: skip
def test_what_is_no_address_for_a_webhook_names_the_field(
    organization: Organization, settings: Any, resolve: Callable[[str], None], url: str
) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = False
    with pytest.raises(InvalidInput) as refused:
        create_endpoint(organization=organization, url=url)
    assert refused.value.attr == "url"


def test_a_name_that_leads_to_a_private_address_is_not_taken(
    organization: Organization, settings: Any, resolve: Callable[[str], None]
) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = False
    resolve("10.1.2.3")
    with pytest.raises(InvalidInput):
        create_endpoint(organization=organization, url="https://hooks.example.com/")
    resolve(PUBLIC)
    row, _ = create_endpoint(organization=organization, url="https://hooks.example.com/")
    with pytest.raises(InvalidInput):
        change_endpoint(endpoint=row, changes={"url": "https://10.0.0.1/"})
    row.refresh_from_db()
    assert row.url == "https://hooks.example.com/"


@pytest.mark.parametrize("later", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::ffff:127.0.0.1"])
def test_a_name_that_moves_to_a_private_address_later_is_not_called(
    organization: Organization, settings: Any, resolve: Callable[[str], None], publish: Publish,
    drain: Callable[[], int], hook: HookServer, later: str,
) -> None:  # fmt: skip
    settings.WEBHOOKS_TO_LOOPBACK = False
    create_endpoint(organization=organization, url=f"https://hooks.example.com:{hook.port}/")
    resolve(later)
    publish()
    drain()
    waiting = WebhookDelivery.objects.get()
    assert (waiting.status, waiting.last_detail) == ("pending", "This address is not on the public internet.")
    assert hook.told == []


def test_a_redirect_to_a_private_address_is_not_followed(
    endpoint: WebhookEndpoint, publish: Publish, drain: Callable[[], int], hook: HookServer
) -> None:
    hook.replies.append(Reply(307, headers={"Location": "http://169.254.169.254/latest/meta-data/"}))
    publish()
    drain()
    assert WebhookDelivery.objects.get().last_detail == "It answered 307. A redirect is not followed."
