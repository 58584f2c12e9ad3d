"""kill -9 of a worker before, during and after its call to a provider: one mail, or nobody knows, but never two."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings

from accounts.models import Organization
from castcomm.common.clock import now
from notifications.models import Category, Delivery, DeliveryAttempt, EventType, ProviderAccount
from notifications.services import dispatch
from notifications.services.sending import send_notification
from notifications.stand_ins import StandIn, stand_in
from notifications.vocabulary import Priority

from .processes import Installation, installation

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.django_db(transaction=True)]

_WORKER = """
import os, signal, sys, time, django
django.setup()
from notifications.services import dispatch, outbox

def die(*_args, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

moment = sys.argv[1]
if moment == "before":
    dispatch.compose = die
if moment == "after":
    settle = outbox.settle
    outbox.settle = lambda lease, settled, **more: die() if settled else settle(lease, settled, **more)
print("ready", flush=True)
dispatch.send_due_batch("email", int(sys.argv[2]))
"""

CASES = [
    # when it is killed, the provider, what becomes of the delivery, mails that the provider took
    ("before", "postmark", "sent", 1),
    ("before", "resend", "sent", 1),
    ("during", "postmark", "unknown", 1),
    ("during", "resend", "sent", 1),
    ("after", "postmark", "unknown", 1),
    ("after", "resend", "sent", 1),
]


@pytest.fixture(autouse=True)
def _same_sender() -> Iterator[None]:
    """As in the worker's process: a provider that compares two tries sees the same mail."""
    with override_settings(EMAIL_FROM="castcomm@example.com"):
        yield


@pytest.fixture
def far() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Installation]:
    with installation(
        redis_url=settings.REDIS_URL, redis_prefix=settings.REDIS_PREFIX, smtp_port=1, log=tmp_path / "log",
        DJANGO_SETTINGS_MODULE="castcomm.settings", PROVIDER_STAND_INS="true",
    ) as made:  # fmt: skip
        yield made


def accept_a_mail(organization: Organization, far: StandIn, provider: str) -> None:
    for position, key in enumerate((provider, "sendgrid"), start=1):
        credentials = {"api_key": "SG.test", "api_url": far.url(key)}
        ProviderAccount.objects.create(
            channel="email", provider=key, name=key, position=position, credentials=json.dumps(credentials)
        )
    category = Category.objects.create(organization=organization, key="c", name="C")
    EventType.objects.create(
        organization=organization, key="news", name="News", category=category, channels=["email"]
    )
    send_notification(
        organization=organization,
        recipients=["person@example.com"],
        event_type="news",
        content={"title": "Hello", "body": "One mail."},
    )


def kill_a_worker(running: Installation, moment: str, far: StandIn, provider: str) -> None:
    """Let a real process work on the mail and die at the moment."""
    command = [sys.executable, "-c", _WORKER, moment, str(Priority.NORMAL.value)]
    with running.log.open("ab") as log:
        worker = subprocess.Popen(
            command, cwd=Path(__file__).parents[2], env=running.environment, stdout=log, stderr=log
        )
    try:
        if moment == "during":
            running.wait_until(lambda: far.calls(provider) == 1)
            os.kill(worker.pid, signal.SIGKILL)
        assert worker.wait(60) == -signal.SIGKILL
    finally:
        if worker.poll() is None:
            worker.kill()


@pytest.mark.parametrize(("moment", "provider", "status", "taken"), CASES)
def test_a_killed_worker_never_makes_two_mails_of_one(
    moment: str, provider: str, status: str, taken: int,
    organization: Organization, far: StandIn, running: Installation,
) -> None:  # fmt: skip
    accept_a_mail(organization, far, provider)
    if moment == "during":
        far.break_(provider, mode="hang")
    kill_a_worker(running, moment, far, provider)
    far.mend(provider)
    assert Delivery.objects.get().status == "sending"
    # The lease runs out, and another worker looks after what is left.
    Delivery.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    dispatch.sweep()
    for _ in range(3):
        Delivery.objects.filter(status="pending").update(due_at=now() - dt.timedelta(seconds=1))
        dispatch.send_due_batch("email", Priority.NORMAL.value)
    delivery = Delivery.objects.get()
    attempts = list(DeliveryAttempt.objects.order_by("number").values_list("provider", "outcome", "detail"))
    print(f"\nkill -9 {moment:6} the call to {provider:8} -> {delivery.status:8} {attempts}")
    assert delivery.status == status
    assert {one for one, *_ in attempts} == {provider}, "no other provider is asked"
    assert (far.accepted_count(provider), far.duplicates(provider)) == (taken, 0)
    assert far.accepted_count("sendgrid") == 0
