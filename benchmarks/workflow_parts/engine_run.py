"""CastComm's part, in a process of its own: ``prepare N``, ``sleepers N DUE``."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time

import django

django.setup()

from django.db import connection  # noqa: E402

from accounts.models import Membership, Organization, User  # noqa: E402
from castcomm.common import sql  # noqa: E402
from castcomm.common.clock import now  # noqa: E402
from notifications.models import Template, TemplateContent, TemplateVersion  # noqa: E402
from workflows.engine import claims  # noqa: E402
from workflows.models import Execution, StepRun, Workflow  # noqa: E402
from workflows.services.drafts import create_workflow  # noqa: E402
from workflows.services.publishing import publish_workflow  # noqa: E402
from workflows.services.ready_made import read_ready_made  # noqa: E402


def prepare(count: int) -> None:
    """An organization with ``count`` members, each at the first step of the welcome sequence, with zero delays."""
    organization = Organization.objects.create(name="Demo", slug="demo")
    people = [
        User(email=f"person{number}@example.com", attributes={"profile_completion": 30})
        for number in range(count)
    ]
    User.objects.bulk_create(people, batch_size=2000)
    Membership.objects.bulk_create(
        [Membership(organization=organization, user=user) for user in people], batch_size=2000
    )
    for key in ("welcome", "profile-completion-reminder"):
        template = Template.objects.create(organization=organization, key=key, name=key)
        version = TemplateVersion.objects.create(
            template=template, number=1, status="published", published_at=now()
        )
        TemplateContent.objects.create(version=version, locale="en", subject=f"About {key}", text="Hello.")
    definition = json.loads(read_ready_made("welcome_sequence"))
    definition["steps"][2]["duration"] = 0
    workflow = create_workflow(organization=organization, definition=definition)
    publish_workflow(workflow=workflow)
    begin(Workflow.objects.get(), people)


def begin(workflow: Workflow, people: list[User]) -> None:
    """What ``trigger_workflow`` writes, for many at once."""
    moment = now()
    shared = {"organization_id": workflow.organization_id}
    runs = [
        Execution(
            **shared, workflow=workflow, version_id=workflow.current_version_id, user=user, started_at=moment,
            source="benchmark",
        )
        for user in people
    ]  # fmt: skip
    Execution.objects.bulk_create(runs, batch_size=2000)
    first = workflow.definition["steps"][0]
    steps = [
        StepRun(
            **shared, execution=run, position=0, path="0", step_type=first["type"], input=first, due_at=moment
        )
        for run in runs
    ]
    StepRun.objects.bulk_create(steps, batch_size=2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def sleepers(count: int, due: int) -> None:
    """``count`` step runs that sleep and ``due`` that are due: prints the claim's times and its plan."""
    execution = Execution.objects.first()
    assert execution is not None
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO workflows_steprun (id, created_at, organization_id, execution_id, position, path, step_type,
                 status, due_at, attempts, deaths, input, error)
               SELECT gen_random_uuid(), now(), %s, %s, 1000 + n, '0', 'delay', 'waiting',
                      now() + CASE WHEN n < %s THEN interval '-1 hour'
                                   ELSE interval '1 day' + n * interval '1 second' END,
                      0, 0, '{}', '' FROM generate_series(0, %s) n""",
            [execution.organization_id, execution.id, due * 8, count + due * 8 - 1],
        )
        cursor.execute("ANALYZE workflows_steprun")
    times = []
    for _ in range(7):
        began = time.perf_counter()
        claims.recover_lost_steps(now=now())
        taken = claims.claim_due_steps(now=now(), limit=due)
        assert len(taken) == due, len(taken)
        assert claims.claim_suspect(now=now()) == []
        times.append((time.perf_counter() - began) * 1000)
    print(f"a tick over {count:,} sleepers that takes {due} due steps: "
          f"first {times[0]:.1f} ms, median {sorted(times)[3]:.1f} ms, longest {max(times):.1f} ms\n")  # fmt: skip
    plan = sql.run(
        "EXPLAIN (ANALYZE, BUFFERS) " + claims.DUE + " SELECT id FROM due",
        {"now": now() + dt.timedelta(0), "limit": due},
        prepare=False,
    )
    print("\n".join(row[0] for row in plan))
    sys.exit(0 if sorted(times)[3] < 50 else 1)


if __name__ == "__main__":
    {"prepare": prepare, "sleepers": sleepers}[sys.argv[1]](*map(int, sys.argv[2:]))
