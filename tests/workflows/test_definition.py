"""What a definition may be, and how errors name the step."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import Organization
from workflows.definition import definition_schema, validate_definition
from workflows.errors import DefinitionInvalid
from workflows.models import Workflow
from workflows.services.drafts import create_workflow

# The block that document A prints under "Creating Workflows", character for character.
PRINTED = """\
{
  "name": "Welcome Sequence",
  "type": "welcome_sequence",
  "triggerEvent": "user_registered",
  "steps": [
    {
      "type": "delay",
      "duration": 0
    },
    {
      "type": "email",
      "template": "welcome",
      "priority": "high"
    },
    {
      "type": "delay",
      "duration": 86400000
    },
    {
      "type": "condition",
      "check": "profile_completion < 50"
    },
    {
      "type": "email",
      "template": "profile-completion-reminder"
    }
  ]
}
"""


def test_the_ready_made_file_is_what_document_a_prints() -> None:
    path = Path(__file__).parents[2] / "workflows" / "ready_made" / "welcome_sequence.json"
    assert path.read_text(encoding="utf-8") == PRINTED


def test_document_a_is_kept_as_written_down_to_the_order_of_keys(organization: Organization) -> None:
    made = create_workflow(organization=organization, definition=json.loads(PRINTED))
    stored = Workflow.objects.get(id=made.id).definition
    assert json.dumps(stored, indent=2) + "\n" == PRINTED
    with connection.cursor() as cursor:
        cursor.execute("SELECT definition::text FROM workflows_workflow WHERE id = %s", [made.id])
        assert json.dumps(json.loads(cursor.fetchone()[0]), indent=2) + "\n" == PRINTED
    assert (made.key, made.name) == ("welcome_sequence", "Welcome Sequence")


def test_the_composed_schema_accepts_it_too() -> None:
    import jsonschema

    jsonschema.validate(json.loads(PRINTED), definition_schema())


def problems(definition: Any) -> dict[str, str]:
    with pytest.raises(DefinitionInvalid) as caught:
        validate_definition(definition)
    return {problem.path: problem.message for problem in caught.value.problems}


def changed(path: str, value: Any) -> Any:
    """Document A with one value replaced, added, or (``...``) removed."""
    definition = json.loads(PRINTED)
    target = definition
    *above, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    for part in above:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return definition


@pytest.mark.parametrize(
    ("path", "value", "where", "says"),
    [
        ("name", ..., "name", "required"),
        ("type", ..., "type", "required"),
        ("type", "two words", "type", "letters"),
        ("type", "ends\n", "type", "letters"),
        ("type", "x" * 101, "type", "At most 100"),
        ("steps", [], "steps", "at least one"),
        ("steps", {}, "steps", "a list"),
        ("steps", [{"type": "stop"}] * 201, "steps", "At most 200"),
        ("step", [], "step", "no such field; there are name, type"),
        ("triggerEvent", 5, "triggerEvent", "text"),
        ("steps.0", "delay", "steps.0", "an object"),
        ("steps.0", {}, "steps.0.type", "needs a type"),
        (
            "steps.0.type",
            "dely",
            "steps.0.type",
            "no step type 'dely'; there are branch, chat_message, condition",
        ),
        ("steps.0.type", ["delay"], "steps.0.type", "no step type"),
        ("steps.0.duration", "1 day", "steps.0.duration", "a length such as"),
        ("steps.0.duration", True, "steps.0.duration", "a whole number"),
        ("steps.0.duration", -1, "steps.0.duration", "at least 0"),
        ("steps.0.duration", 10**15, "steps.0.duration", "At most two years"),
        ("steps.0.duration", ..., "steps.0.duration", "Give one of duration"),
        ("steps.1.tempalte", "welcome", "steps.1.tempalte", "no such field; there are type, template"),
        ("steps.1.priority", "huge", "steps.1.priority", "one of urgent, high, normal, low"),
        ("steps.1.template", "", "steps.1.template", "not be empty"),
        ("steps.3.check", "profile_completion <", "steps.3.check", "ends too early. (column 21)"),
        ("steps.3.check", "__import__('os')", "steps.3.check", "underscore. (column 1)"),
        ("name", "a\x00b", "", "NUL"),
        ("name", "\ud800", "", "cannot be stored|stored"),
        ("name", float("nan"), "", "stored"),
        ("description", "x" * 300_000, "", "256 KiB"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, where: str, says: str) -> None:
    found = problems(changed(path, value))
    assert where in found
    assert any(part in found[where] for part in says.split("|"))


def test_everything_wrong_is_said_at_once() -> None:
    definition = changed("steps.0.duration", -1)
    definition["steps"][3]["check"] = "("
    definition["steps"].append({"type": "nothing"})
    assert set(problems(definition)) == {"steps.0.duration", "steps.3.check", "steps.5.type"}


@pytest.mark.parametrize("value", [None, 5, "text", [], True])
def test_what_is_no_object_is_refused(value: Any) -> None:
    assert problems(value) == {"": "This must be an object."}


def test_validation_leaves_the_definition_alone() -> None:
    definition = json.loads(PRINTED)
    before = copy.deepcopy(definition)
    assert validate_definition(definition) == before
