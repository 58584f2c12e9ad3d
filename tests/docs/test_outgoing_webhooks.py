"""The receiver on the page of outgoing webhooks works as it stands there."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from accounts.models import Organization
from castcomm.common.clock import now
from notifications.models import WebhookDelivery
from notifications.services import customer_webhooks, webhook_dispatch
from notifications.services.webhook_endpoints import create_endpoint
from notifications.services.webhook_replay import replay_delivery

PAGE = Path(__file__).resolve().parents[2] / "docs" / "outgoing-webhooks.md"

pytestmark = pytest.mark.django_db


def example() -> str:
    found = re.search(r"```python\n(import os\n.*?)```", PAGE.read_text(), re.DOTALL)
    assert found, "the page has no receiver"
    return found[1]


@contextmanager
def receiver(port: int, secret: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-c", example()],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_receiver_takes_ours_once_and_refuses_forgeries(
    organization: Organization, settings: Any, unused_tcp_port: int
) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True
    customer_webhooks.forget_listeners()
    url = f"http://127.0.0.1:{unused_tcp_port}/"
    _, secret = create_endpoint(organization=organization, url=url)
    with receiver(unused_tcp_port, secret) as running:
        customer_webhooks.publish(
            organization_id=organization.id, event_type="delivery.sent", payload={"n": 1}, occurred_at=now()
        )
        webhook_dispatch.drain()
        delivery = WebhookDelivery.objects.select_related("endpoint").get()
        assert (delivery.status, delivery.last_status_code) == ("delivered", 204)
        replay_delivery(delivery=delivery)
        webhook_dispatch.drain()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.attempt_count) == ("delivered", 2)
        forged = {
            "webhook-id": "x",
            "webhook-timestamp": str(int(time.time())),
            "webhook-signature": "v1,AAAA",
        }
        assert requests.post(url, data=b"{}", headers=forged, timeout=10).status_code == 401
    assert running.stdout is not None
    assert running.stdout.read() == "delivery.sent {'n': 1}\n"
