"""Simulates 30 days of a workflow for one person and for many, and prints how long it takes.

    python benchmarks/workflow_parts/simulation.py [--people 250 500 1000]

A mail or a notification a day, people with quiet hours, a digest and a cap. It ends with 1 when one person takes a
second, the last size 20 s, or a person of the last size half as long again as one of the first.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accounts.models import Organization

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

ONE = 1.0  # seconds
MANY = 20.0  # seconds
GROWTH = 1.5
DAYS = 30


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, nargs="+", default=[250, 500, 1_000])
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return measure(options.people)
    from servers import machine, migrated, servers

    print(machine(), flush=True)
    with servers() as given:
        environment = migrated(given, "castcomm_bench_simulation")
        command = [sys.executable, str(Path(__file__)), "--measure", "--people", *map(str, options.people)]
        return subprocess.run(command, check=False, env=environment, cwd=HERE.parent.parent).returncode


def measure(sizes: Sequence[int]) -> int:
    """Print the table; 1 when a goal was missed. Needs the environment of a migrated database."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "castcomm.settings")
    import django

    django.setup()
    from servers import table

    organization, people = filled(max(sizes))
    simulated(organization, people[:5])  # what is read and compiled once is not what is measured
    one = min(simulated(organization, people[:1]) for _ in range(5))
    rows = [["1 person", f"{one:.3f}", f"{one * 1000:.1f}"]]
    each = []
    for size in sizes:
        seconds = simulated(organization, people[:size])
        each.append(seconds / size)
        rows.append([f"{size:,} people", f"{seconds:.2f}", f"{seconds / size * 1000:.1f}"])
    seconds = simulated(organization, people[: sizes[0]], rendering=True)
    rows.append([f"{sizes[0]:,} with subjects", f"{seconds:.2f}", f"{seconds / sizes[0] * 1000:.1f}"])
    print(table(["30 days, 60 steps", "seconds", "ms a person"], rows))
    growth = each[-1] / each[0]
    last = each[-1] * sizes[-1]
    print(
        f"\n1 person: {one:.3f} s (goal: {ONE:g}); {sizes[-1]:,}: {last:.1f} s (goal: {MANY:g}); a person of the last "
        f"size takes {growth:.2f} times what one of the first does (goal: {GROWTH:g})"
    )
    return int(one >= ONE or last >= MANY or growth >= GROWTH)


def simulated(organization: Organization, people: Sequence[uuid.UUID], *, rendering: bool = False) -> float:
    """Seconds that the simulation of these people takes; raises when they do not all come to the end."""
    from workflows.models import Workflow
    from workflows.services.simulating import simulate_workflow

    workflow = Workflow.objects.get(organization=organization)
    started = time.monotonic()
    made = simulate_workflow(
        organization=organization,
        users=people,
        workflow=workflow,
        horizon=dt.timedelta(days=DAYS + 1),
        rendering=rendering,
    )
    took = time.monotonic() - started
    ends = {run.status.value for course in made.courses for run in course.runs}
    if ends != {"completed"}:
        raise RuntimeError(f"the runs ended as {sorted(ends)}")
    return took


def filled(people: int) -> tuple[Organization, list[uuid.UUID]]:
    """An organization with a workflow and that many people."""
    from accounts.services.organizations import create_organization
    from notifications.models import Category, EventType, FrequencyCap
    from notifications.services.ready_made import install_ready_made
    from notifications.services.templates import publish_template, save_template
    from workflows.services.drafts import create_workflow

    organization = create_organization(name="Benchmark")
    install_ready_made(organization=organization)
    content = {"subject": "News for {{ user.first_name }}", "text": "Today's news.", "in_app_title": "News"}
    template = save_template(
        organization=organization, key="bench-news", name="News", contents={"en": content}
    )
    publish_template(template=template)
    category = Category.objects.create(organization=organization, key="bench", name="Bench")
    EventType.objects.create(
        organization=organization, key="bench_news", name="News", category=category, template=template,
        channels=["email", "in_app"], is_digestible=True,
    )  # fmt: skip
    FrequencyCap.objects.create(
        organization=organization, channel="email", period="day", limit=1, overflow="defer"
    )
    create_workflow(organization=organization, definition=definition())
    return organization, with_people(organization, category, people)


def definition() -> dict[str, Any]:
    """A mail and a notification in turn, a day after each other."""
    sends = [{"type": "email", "template": "bench-news"}, {"type": "notification", "eventType": "bench_news"}]
    steps = [
        step for day in range(DAYS) for step in (sends[day % 2], {"type": "delay", "duration": 86_400_000})
    ]
    return {"name": "Daily", "type": "daily", "triggerEvent": "began", "steps": steps}


def with_people(organization: Organization, category: Any, count: int) -> list[uuid.UUID]:
    """Members with quiet hours and a daily digest."""
    from accounts.models import Membership, User
    from castcomm.common.crypto import blind_index
    from notifications.models import DigestSetting, QuietHours

    emails = [f"person-{number}@example.com" for number in range(count)]
    users = User.objects.bulk_create(
        User(
            email=email,
            email_index=blind_index(email, kind="email"),
            first_name="Ada",
            time_zone="Europe/Berlin",
        )
        for email in emails
    )
    Membership.objects.bulk_create(Membership(organization=organization, user=user) for user in users)
    QuietHours.objects.bulk_create(
        QuietHours(
            organization=organization, user=user, start=dt.time(22), end=dt.time(8), days=list(range(7))
        )
        for user in users
    )
    DigestSetting.objects.bulk_create(
        DigestSetting(
            organization=organization, user=user, category=category, frequency="daily", at=dt.time(9)
        )
        for user in users
    )
    return [user.id for user in users]


if __name__ == "__main__":
    sys.exit(main())
