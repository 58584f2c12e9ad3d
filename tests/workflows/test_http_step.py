"""The HTTP step: called after the commit by whoever asks, with an answer that the run goes on with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings

from accounts.models import Organization, User
from castcomm.common import sql
from castcomm.common.clock import now
from tests.notifications.hook_server import HookServer, Reply, hook_server
from workflows.models import Execution, HttpCall, StepRun, Workflow
from workflows.services import http_calls
from workflows.services.http_calls import make_due_calls
from workflows.services.triggering import trigger_workflow

PassTime = Callable[..., int]
MakeWorkflow = Callable[..., Workflow]


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with hook_server() as server, override_settings(WEBHOOKS_TO_LOOPBACK=True):
        yield server


@pytest.fixture
def start(
    organization: Organization,
    person: User,
    make_workflow: MakeWorkflow,
    pass_time: PassTime,
    hook: HookServer,
) -> Callable[..., Execution]:
    """Start a run of one HTTP step and what asks for its answer, up to where it waits for the answer."""

    def begin(data: dict[str, Any] | None = None, **fields: Any) -> Execution:
        step = {"type": "http", "method": "POST", "url": hook.url(), **fields}
        make_workflow(step, {"type": "condition", "check": "data.answer.body.ok == true"})
        execution = trigger_workflow(organization=organization, workflow="flow", user=person, data=data)
        pass_time(seconds=1)
        # The engine's clock is ahead of the one by which calls are made.
        HttpCall.objects.update(due_at=now())
        return execution

    return begin


def ends(execution: Execution, pass_time: PassTime) -> tuple[str, str]:
    pass_time(seconds=1)
    execution.refresh_from_db()
    return execution.status, execution.reason


@pytest.mark.django_db
def test_the_answer_goes_into_the_data_and_secrets_nowhere(
    start: Callable[..., Execution], hook: HookServer, pass_time: PassTime
) -> None:
    hook.usual = Reply(headers={"Content-Type": "application/json"}, body=b'{"ok": true}')
    execution = start(
        {"q": "a/b&c", "n": 7},
        url=hook.url("/orders/{{ q }}"),
        headers={"Authorization": "Bearer s3cret", "X-Name": "{{ user.first_name }}"},
        body={"number": "{{ n }}", "text": "No. {{ n }}"},
        saveAs="answer",
    )
    assert hook.told == []
    assert execution.step_runs.get().status == "waiting"
    assert make_due_calls() == 1
    [told] = hook.told
    assert told.path == "/orders/a%2Fb%26c"
    assert told.event == {"number": 7, "text": "No. 7"}
    assert told.headers["authorization"] == "Bearer s3cret"
    assert told.headers["idempotency-key"] == str(execution.step_runs.get().id)
    assert ends(execution, pass_time) == ("completed", "")
    assert execution.data["answer"] == {"status": 200, "body": {"ok": True}}
    step = execution.step_runs.get(step_type="http")
    assert step.result == {"status": 200, "body": {"ok": True}, "attempts": 1}
    rows = sql.run("SELECT s::text || c::text FROM workflows_steprun s, workflows_httpcall c", prepare=False)
    assert "s3cret" not in str(rows)
    call = HttpCall.objects.get()
    assert (call.url, call.headers, call.body, call.status) == ("", "", "", "done")


@pytest.mark.django_db
def test_tries_again_where_that_is_right(
    start: Callable[..., Execution], hook: HookServer, pass_time: PassTime
) -> None:
    hook.replies = [Reply(status=503), Reply(status=429, headers={"Retry-After": "60"}), Reply(status=400)]
    execution = start(retries=5)
    for pause in (5, 60):
        make_due_calls()
        call = HttpCall.objects.get()
        assert call.status == "pending"
        assert pause / 2 - 1 <= (call.due_at - now()).total_seconds() <= pause * 2
        HttpCall.objects.update(due_at=now())
    make_due_calls()
    assert ends(execution, pass_time) == ("failed", "Step 0 (http) failed: The answer was 400.")
    assert len(hook.told) == 3


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_call_whose_worker_died_is_repeated_only_if_that_does_no_harm(
    method: str, start: Callable[..., Execution], hook: HookServer, pass_time: PassTime
) -> None:
    execution = start(method=method, onError="continue")
    [claimed] = http_calls._claim(now())
    assert http_calls._claim(now()) == []
    HttpCall.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    if method == "PUT":
        # The stand-in reads POST alone; the claim is what matters here.
        http_calls._recover(now())
        assert HttpCall.objects.get().status == "pending"
        return
    assert make_due_calls() == 0
    assert HttpCall.objects.get().status == "unknown"
    http_calls._record(claimed.id, claimed.lease_token, http_calls.Tried(status=200))
    assert ends(execution, pass_time)[0] == "stopped"
    result = StepRun.objects.get(step_type="http").result
    assert result is not None
    assert (result["status"], result["error"]) == (0, http_calls.UNKNOWN)


@pytest.mark.django_db
def test_private_addresses_and_lines_in_headers_are_refused(
    start: Callable[..., Execution], hook: HookServer, pass_time: PassTime
) -> None:
    with override_settings(WEBHOOKS_TO_LOOPBACK=False):
        execution = start()
        make_due_calls()
    status, reason = ends(execution, pass_time)
    assert (status, hook.told) == ("failed", [])
    assert "not on the public internet" in reason
    Workflow.objects.filter(key="flow").update(key="other")
    execution = start({"x": "a\r\nEvil: 1"}, headers={"X": "{{ x }}"})
    assert ends(execution, pass_time)[1].endswith("The value of the header 'X' has more than one line.")
    assert not HttpCall.objects.filter(step_run__execution=execution).exists()
