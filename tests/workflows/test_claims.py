"""Finding the due steps among many sleeping ones costs an index scan."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection

from accounts.models import Organization, User
from castcomm.common.clock import now
from workflows.engine.claims import DUE, SUSPECT, claim_due_steps
from workflows.models import Execution, StepRun, Workflow
from workflows.services.triggering import trigger_event

SLEEPING = 5_000
DUE_NOW = 100


@pytest.fixture
def crowd(make_workflow: Callable[..., Workflow], organization: Organization, person: User) -> Execution:
    make_workflow({"type": "delay", "duration": 1000})
    [execution] = trigger_event(organization=organization, event="happened", user=person)
    StepRun.objects.all().delete()
    moment = now()
    StepRun.objects.bulk_create(
        [
            StepRun(
                organization=organization,
                execution=execution,
                position=number,
                path="0",
                step_type="delay",
                due_at=moment + dt.timedelta(days=1 if number >= DUE_NOW else -1, seconds=number),
            )
            for number in range(SLEEPING)
        ],
        batch_size=5000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_steprun")
    return execution


@pytest.mark.parametrize(("statement", "index"), [(DUE, "step_run_due"), (SUSPECT, "step_run_suspect")])
@pytest.mark.usefixtures("crowd")
def test_the_claim_uses_its_partial_index(statement: str, index: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement} SELECT id FROM due",
            {"now": now(), "limit": 50},
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert f"Index Scan using {index}" in plan or f"Index Only Scan using {index}" in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan


def test_a_claim_takes_the_longest_due_and_no_sleeper(crowd: Execution) -> None:
    claimed = claim_due_steps(now=now(), limit=30)
    positions = StepRun.objects.filter(id__in=[claim.step_run_id for claim in claimed]).values_list(
        "position", flat=True
    )
    assert sorted(positions) == list(range(30))
    rest = claim_due_steps(now=now(), limit=500)
    assert len(rest) == DUE_NOW - 30
    assert claim_due_steps(now=now()) == []
