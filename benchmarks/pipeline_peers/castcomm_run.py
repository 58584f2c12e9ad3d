"""CastComm's side: ``prepare N`` makes people, template and event type; ``single N`` and ``bulk N`` send.

``single`` is one ``send_notification`` per person, ``bulk`` one call for all. Prints when it began and the
seconds it took.
"""

import json
import os
import sys
import time
from typing import Any
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "castcomm.settings")

import django

django.setup()

from accounts.models import Membership, Organization, User  # noqa: E402
from castcomm.common.crypto import blind_index  # noqa: E402
from notifications.models import (  # noqa: E402
    Category,
    EventType,
    Preference,
    ProviderAccount,
    Template,
    TemplateContent,
)
from notifications.services.sending import send_notification  # noqa: E402
from notifications.services.templates import draft_of, publish_template  # noqa: E402
from pipeline_peers.mail import HTML, SUBJECT, TEXT, settle_in, stay  # noqa: E402

NAMES = ("name", "number")


def organization() -> Organization:
    return Organization.objects.get(slug="bench")


def prepare(count: int) -> None:
    # The same mail as the peers', so without links that lead over CastComm (benchmarks/tracking.py measures those).
    org, _ = Organization.objects.get_or_create(
        slug="bench", defaults={"name": "Benchmark", "track_opens": False, "track_clicks": False}
    )
    made = []
    for number in range(User.objects.count(), count):
        user = User(
            email=f"person{number}@example.com", first_name="Person", last_name=str(number), password="!"
        )
        user.email_index = blind_index(user.email, kind="email")
        made.append(user)
    User.objects.bulk_create(made, batch_size=2000)
    Membership.objects.bulk_create(
        [Membership(organization=org, user=user) for user in made], batch_size=2000
    )
    category, _ = Category.objects.get_or_create(organization=org, key="bench", defaults={"name": "Bench"})
    # Preferences and quiet rules are looked up for everybody; every tenth person has some of their own.
    Preference.objects.bulk_create(
        [
            Preference(
                organization=org, user=user, scope="category", category=category, channel="sms", enabled=False
            )
            for user in made[::10]
        ]
    )
    template, fresh = Template.objects.get_or_create(
        organization=org, key="bench", defaults={"name": "Bench"}
    )
    if fresh:
        draft = draft_of(template)
        TemplateContent.objects.create(version=draft, locale="en", subject=SUBJECT, text=TEXT)
        publish_template(template=template)
        # The same HTML as the peers send, rather than one compiled from MJML.
        row = TemplateContent.objects.get(version__template=template)
        row.compiled_html = HTML
        row.save()
    EventType.objects.get_or_create(
        organization=org,
        key="bench",
        defaults={"name": "Bench", "category": category, "template": template, "channels": ["email"]},
    )


def recipients(org: Organization, count: int) -> list[UUID]:
    """The ids of ``count`` people, after a first notification to one of them."""
    found = User.objects.filter(email__startswith="person").order_by("id").values_list("id", flat=True)
    people = list(found[:count])
    send(org, people[0], -1)
    settle_in()
    return people


def send(org: Organization, user_id: UUID, number: int) -> None:
    send_notification(
        organization=org,
        event_type="bench",
        recipients=[user_id],
        data={"name": f"Person {number}", "number": number},
    )


def single(count: int) -> None:
    org = organization()
    people = recipients(org, count)
    started = time.monotonic()
    for number, user_id in enumerate(people):
        send(org, user_id, number)
    stay(since=started)


def bulk(count: int) -> None:
    org = organization()
    people = recipients(org, count)
    started = time.monotonic()
    send_notification(
        organization=org, event_type="bench", recipients=people, data={"name": "all", "number": 1}
    )
    stay(since=started)


def accounts(given: list[dict[str, Any]]) -> None:
    """Replace all provider accounts."""
    ProviderAccount.objects.all().delete()
    for one in given:
        credentials = json.dumps(one.pop("credentials"))
        ProviderAccount.objects.create(channel="email", name=one["provider"], credentials=credentials, **one)


if __name__ == "__main__":
    if sys.argv[1] == "accounts":
        accounts(json.loads(sys.argv[2]))
    else:
        {"prepare": prepare, "single": single, "bulk": bulk}[sys.argv[1]](int(sys.argv[2]))
