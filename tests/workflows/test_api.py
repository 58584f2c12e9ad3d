"""Workflows, events and executions over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import ApiKey, Organization, User
from castcomm.common.ids import new_id
from notifications.models import Category, EventType, NotificationRequest, Template
from workflows.models import Execution, Workflow
from workflows.services.triggering import trigger_event

API = "/api/v1"
MakeWorkflow = Callable[..., Workflow]
STOP = {"type": "stop"}


@pytest.fixture
def client(api_client: Callable[..., APIClient], staff: User) -> APIClient:
    return api_client(staff)


@pytest.fixture
def key_client(
    api_client: Callable[..., APIClient],
    make_api_key: Callable[..., tuple[ApiKey, str]],
    organization: Organization,
) -> Callable[..., APIClient]:
    def make(*scopes: str) -> APIClient:
        return api_client(make_api_key(organization, *scopes)[1])

    return make


def errors(response: Any) -> dict[str, str]:
    return {error["attr"]: error["detail"] for error in response.json()["errors"]}


@pytest.mark.usefixtures("welcome_templates")
def test_document_a_through_the_api(
    client: APIClient, document_a: dict[str, Any], person: User, pass_time: Callable[..., int]
) -> None:
    made = client.post(f"{API}/workflows", {"definition": document_a})
    assert made.status_code == 201
    assert made.json()["definition"] == document_a
    assert list(made.json()["definition"]) == list(document_a)
    assert (made.json()["key"], made.json()["version"]) == ("welcome_sequence", None)
    published = client.post(f"{API}/workflows/welcome_sequence/publish")
    assert published.json()["version"]["number"] == 1

    reported = client.post(f"{API}/events", {"event": "user_registered", "user": person.email})
    assert reported.status_code == 202
    [execution] = reported.json()["executions"]
    pass_time(seconds=1)
    seen = client.get(f"{API}/workflow-executions/{execution}").json()
    assert seen["status"] == "running"
    assert [(step["path"], step["type"], step["status"]) for step in seen["steps"]] == [
        ("0", "delay", "done"),
        ("1", "email", "done"),
        ("2", "delay", "waiting"),
        ("3", "condition", "not_reached"),
        ("4", "email", "not_reached"),
    ]
    assert seen["steps"][1]["notification"]
    cancelled = client.post(f"{API}/workflow-executions/{execution}/cancel", {"reason": "Enough."}).json()
    assert (cancelled["stopped"], cancelled["never_begun"]) == (["2"], ["3", "4"])
    assert cancelled["notifications"] == [seen["steps"][1]["notification"]]
    again = client.post(f"{API}/workflow-executions/{execution}/cancel")
    assert again.status_code == 409


def test_every_problem_of_a_definition_is_named(client: APIClient, document_a: dict[str, Any]) -> None:
    document_a["steps"][3]["check"] = "profile_completion <"
    document_a["steps"][0]["duration"] = -1
    document_a["extra"] = 1
    answer = client.post(f"{API}/workflows", {"definition": document_a})
    assert answer.status_code == 400
    assert set(errors(answer)) == {
        "definition.steps.3.check",
        "definition.steps.0.duration",
        "definition.extra",
    }
    assert Workflow.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "definition"),
        ({"definition": 5}, "definition"),
        ({"definition": {"steps": []}, "surplus": 1}, "surplus"),
        ({"definition": {"name": "x", "type": "x", "steps": [STOP]}, "reentry": "sometimes"}, "reentry"),
        ({"definition": {"name": "x", "type": "x", "steps": [STOP]}, "is_active": "perhaps"}, "is_active"),
        ([], "non_field_errors"),
    ],
)
def test_bad_bodies_are_named(client: APIClient, body: Any, attr: str) -> None:
    answer = client.post(f"{API}/workflows", body)
    assert answer.status_code == 400
    assert attr in errors(answer)


def test_malformed_json_is_400(client: APIClient) -> None:
    for path in ("workflows", "events"):
        answer = client.post(f"{API}/{path}", '{"definition": NaN', content_type="application/json")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["code"] == "parse_error"


def test_a_taken_key_is_409(client: APIClient, document_a: dict[str, Any]) -> None:
    client.post(f"{API}/workflows", {"definition": document_a})
    answer = client.post(f"{API}/workflows", {"definition": document_a})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "key_taken")


def test_a_draft_is_changed_and_the_key_stays(client: APIClient, make_workflow: MakeWorkflow) -> None:
    workflow = make_workflow(STOP)
    definition = {**workflow.definition, "name": "Renamed"}
    changed = client.patch(f"{API}/workflows/flow/", {"definition": definition, "reentry": "once"})
    assert (changed.json()["name"], changed.json()["reentry"]) == ("Renamed", "once")
    refused = client.patch(f"{API}/workflows/flow", {"definition": {**definition, "type": "other"}})
    assert "stays 'flow'" in errors(refused)["definition.type"]


def test_publishing_names_the_step_that_lacks_its_template(client: APIClient) -> None:
    definition = {"name": "x", "type": "x", "steps": [{"type": "email", "template": "none"}]}
    client.post(f"{API}/workflows", {"definition": definition})
    answer = client.post(f"{API}/workflows/x/publish")
    assert errors(answer) == {"definition.steps.0.template": "There is no published template 'none'."}


def test_the_list_is_paged_and_constant_in_queries(
    client: APIClient, make_workflow: MakeWorkflow, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        make_workflow(STOP, key=f"flow-{number}")
    with django_assert_max_num_queries(4):
        page = client.get(f"{API}/workflows?limit=3").json()
    assert len(page["results"]) == 3
    assert len(client.get(page["next"]).json()["results"]) == 2


def test_deleting(
    client: APIClient, make_workflow: MakeWorkflow, organization: Organization, person: User
) -> None:
    make_workflow(STOP)
    assert client.delete(f"{API}/workflows/flow").status_code == 204
    make_workflow(STOP)
    trigger_event(organization=organization, event="happened", user=person)
    assert client.delete(f"{API}/workflows/flow").status_code == 409


class TestEvents:
    def test_by_id_or_address_with_data(
        self, key_client: Callable[..., APIClient], make_workflow: MakeWorkflow, person: User
    ) -> None:
        make_workflow(STOP)
        client = key_client("events:write")
        for named in (str(person.id), person.email.upper()):
            answer = client.post(f"{API}/events", {"event": "happened", "user": named, "data": {"a": [1]}})
            assert answer.status_code == 202
            assert len(answer.json()["executions"]) == 1
        assert set(map(str, Execution.objects.values_list("data", flat=True))) == {"{'a': [1]}"}

    def test_the_events_own_notification_is_answered(
        self,
        client: APIClient,
        make_template: Callable[..., Template],
        organization: Organization,
        person: User,
    ) -> None:
        category = Category.objects.create(organization=organization, key="c", name="C")
        EventType.objects.create(
            organization=organization, key="happened", name="H", category=category, channels=["in_app"],
            template=make_template("t"), notify_on_event=True,
        )  # fmt: skip
        answer = client.post(f"{API}/events", {"event": "happened", "user": person.email}).json()
        assert answer["request"] == str(NotificationRequest.objects.get().id)
        assert len(answer["notifications"]) == 1

    def test_an_idempotency_key_reports_once(
        self, client: APIClient, make_workflow: MakeWorkflow, person: User
    ) -> None:
        make_workflow(STOP)
        body = {"event": "happened", "user": person.email}
        first, second = (
            client.post(f"{API}/events", body, headers={"Idempotency-Key": "k1"}) for _ in range(2)
        )
        assert first.json() == second.json()
        assert second["Idempotency-Replayed"] == "true"
        assert Execution.objects.count() == 1

    @pytest.mark.parametrize(
        ("change", "attr"),
        [
            ({"user": "nobody@example.com"}, "user"),
            ({"user": str(new_id())}, "user"),
            ({"user": 5.5}, "user"),
            ({"user": None}, "user"),
            ({"event": ""}, "event"),
            ({"event": "x" * 101}, "event"),
            ({"data": []}, "data"),
            ({"data": {"user": 1}}, "data.user"),
            ({"surplus": 1}, "surplus"),
        ],
    )
    def test_bad_input_is_named_and_leaves_nothing(
        self, client: APIClient, make_workflow: MakeWorkflow, person: User, change: Any, attr: str
    ) -> None:
        make_workflow(STOP)
        answer = client.post(f"{API}/events", {"event": "happened", "user": person.email, **change})
        assert answer.status_code == 400
        assert attr in errors(answer)
        assert Execution.objects.count() == 0

    def test_the_right_scope_is_needed(
        self, key_client: Callable[..., APIClient], api_client: Callable[..., APIClient], person: User
    ) -> None:
        body = {"event": "happened", "user": person.email}
        assert key_client("workflows:write").post(f"{API}/events", body).status_code == 403
        assert api_client(person).post(f"{API}/events", body).status_code == 403
        assert api_client().post(f"{API}/events", body).status_code == 401


def test_triggering_by_key(
    key_client: Callable[..., APIClient], make_workflow: MakeWorkflow, person: User
) -> None:
    client = key_client("workflows:write")
    workflow = make_workflow(STOP, reentry="once")
    body = {"user": person.email, "data": {"firstName": "John"}, "cancellation_key": "c"}
    started = client.post(f"{API}/workflows/flow/trigger", body)
    assert started.status_code == 202
    assert (started.json()["workflow"], started.json()["data"]) == ("flow", {"firstName": "John"})
    assert client.post(f"{API}/workflows/flow/trigger", body).json()["errors"][0]["code"] == "reentry"
    unknown = client.post(f"{API}/workflows/flow/trigger", {"user": "who"})
    assert (unknown.status_code, set(errors(unknown))) == (400, {"user"})
    Workflow.objects.filter(id=workflow.id).update(is_active=False)
    assert client.post(f"{API}/workflows/flow/trigger", body).json()["errors"][0]["code"] == "inactive"


def test_executions_are_filtered(
    client: APIClient, make_workflow: MakeWorkflow, organization: Organization, person: User, staff: User
) -> None:
    make_workflow(STOP)
    for user in (person, staff):
        trigger_event(organization=organization, event="happened", user=user)
    found = client.get(f"{API}/workflow-executions", {"user": str(person.id), "status": "running"}).json()
    assert [one["user"] for one in found["results"]] == [str(person.id)]
    assert client.get(f"{API}/workflow-executions?workflow=none").json()["results"] == []
    assert set(errors(client.get(f"{API}/workflow-executions?status=odd&user=x&what=1"))) == {
        "status",
        "user",
        "what",
    }


def test_a_foreign_organization_sees_nothing(
    api_client: Callable[..., APIClient], make_api_key: Callable[..., tuple[ApiKey, str]],
    other_organization: Organization, make_workflow: MakeWorkflow, organization: Organization, person: User,
) -> None:  # fmt: skip
    make_workflow(STOP)
    [execution] = trigger_event(organization=organization, event="happened", user=person)
    foreign = api_client(make_api_key(other_organization, "admin")[1])
    for method, path in (
        ("get", "workflows/flow"),
        ("patch", "workflows/flow"),
        ("delete", "workflows/flow"),
        ("post", "workflows/flow/publish"),
        ("post", "workflows/flow/trigger"),
        ("get", f"workflow-executions/{execution.id}"),
        ("post", f"workflow-executions/{execution.id}/cancel"),
    ):
        assert getattr(foreign, method)(f"{API}/{path}", {}).status_code == 404, path
    assert foreign.get(f"{API}/workflow-executions").json()["results"] == []
    assert foreign.get(f"{API}/workflows").json()["results"] == []
    answer = foreign.post(f"{API}/events", {"event": "happened", "user": person.email})
    assert (answer.status_code, set(errors(answer))) == (400, {"user"})
