"""What a definition relies on is asked for when it is published, all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from notifications.models import Template
from workflows.definition.references import PERSON_FIELDS
from workflows.engine.live import MembersReader
from workflows.errors import DefinitionInvalid
from workflows.services.drafts import create_workflow
from workflows.services.publishing import publish_workflow

pytestmark = pytest.mark.django_db
Publish = Callable[..., dict[str, str]]
VARIABLES = {"order_id": {"type": "string", "required": True}, "total": {"type": "number"}}
CHECK = "total > 5 and length(order_id) > 0 and default(profile_completion, 0) < 50"


@pytest.fixture
def publish(organization: Organization) -> Publish:
    """Publish a definition of these steps; returns the problems by their paths, none when it was published."""

    def act(*steps: dict[str, Any], key: str = "flow", **top: Any) -> dict[str, str]:
        definition = {"name": key, "type": key, "steps": list(steps), **top}
        workflow = create_workflow(organization=organization, definition=definition)
        try:
            publish_workflow(workflow=workflow)
        except DefinitionInvalid as error:
            return {one.path: one.message for one in error.problems}
        return {}

    return act


def test_types_and_names_are_checked_at_every_depth(publish: Publish) -> None:
    inner = {"type": "condition", "check": "data.totl == 1"}
    found = publish(
        {"type": "condition", "check": "total < 'many'", "otherwise": [inner]},
        {"type": "delay", "duration": 0, "when": "total"},
        {"type": "delay", "duration": 0, "when": "steps.0.result.value and steps.last.result.x == 1"},
        {"type": "stop", "id": "last"},
        variables=VARIABLES,
    )
    assert found == {
        "steps.0.check": "Number is compared with string. (column 7)",
        "steps.0.otherwise.0.check": "data.totl is not among the variables. Did you mean total? (column 1)",
        "steps.1.when": "This must be boolean, not number. (column 1)",
        "steps.2.when": "No step before this one is 'last'. (column 26)",
    }


def test_a_start_that_nothing_makes_is_refused(publish: Publish) -> None:
    found = publish({"type": "stop"}, trigger={"type": "segment", "segment": "actors"})
    assert found == {"trigger.type": "Nothing starts by segment here yet; use an event or a schedule."}


def test_what_fits_is_published(publish: Publish) -> None:
    assert publish({"type": "condition", "check": CHECK}, variables=VARIABLES) == {}


def test_a_template_gets_the_variables_that_it_needs(
    publish: Publish, make_template: Callable[..., Template]
) -> None:
    template = make_template("receipt", subject="Thanks", text="Thanks")
    template.variables = {
        "order_id": {"type": "string", "required": True},
        "total": {"type": "string"},
        "note": {"type": "string", "required": True},
        "extra": {"type": "string"},
    }
    template.save()
    email = {"type": "email", "template": "receipt"}
    wrong = "The template 'receipt' takes 'total' as string, not number."
    needs = "The template 'receipt' needs {!r}, which is not among the variables."
    found = publish(
        {**email, "data": {"note": "given here"}}, email, variables={**VARIABLES, "note": {"type": "date"}}
    )
    assert found == {"steps.0.template": wrong, "steps.1.template": wrong}
    found = publish({**email, "data": {"order_id": "1"}}, variables={}, key="two")
    assert found == {"steps.0.template": needs.format("note")}
    assert publish(email, key="three") == {}


def test_the_fields_of_a_person_are_those_that_are_read(member: User, organization: Organization) -> None:
    person = MembersReader().find(user_id=member.id, organization_id=organization.id)
    assert person is not None
    assert set(person.fields) == set(PERSON_FIELDS)
