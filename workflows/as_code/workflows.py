"""Workflows as files: a folder each, with the definition as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from accounts.models import Organization
from castcomm.common.as_code.kinds import Document, Kind, register
from castcomm.common.errors import NotFound
from castcomm.common.problems import Problem
from workflows.errors import DefinitionInvalid
from workflows.models import Reentry, Workflow
from workflows.services.drafts import create_workflow, delete_workflow, update_workflow
from workflows.services.publishing import publish_workflow

DEFINITION = "definition.json"


@register
class Workflows(Kind):
    """``workflows/KEY/workflow.yaml`` with the switches, and ``definition.json`` with its keys in their order.

    The definition is the draft; what runs is the version that was published last.
    """

    name = "workflows"
    position = 90
    key_pattern = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
    document = "workflow.yaml"
    body_names = re.compile(re.escape(DEFINITION))
    schema = {
        "type": "object",
        "properties": {
            "reentry": {"enum": Reentry.values, "default": Reentry.ALWAYS.value},
            "is_active": {"type": "boolean", "default": True},
        },
        "additionalProperties": False,
    }

    def current(self, organization: Organization) -> Mapping[str, Document]:
        return {
            row.key: Document(
                {name: getattr(row, name) for name in self.schema["properties"]},
                {DEFINITION: _written(row.definition)},
            )
            for row in Workflow.objects.for_organization(organization)
        }

    def normal(self, document: Document) -> Document:
        bodies = {name: _written(_read(text)) for name, text in document.bodies.items()}
        return super().normal(Document(document.fields, bodies))

    def problems(self, key: str, document: Document) -> Iterator[Problem]:
        if DEFINITION not in document.bodies:
            yield Problem("", f"{DEFINITION} is missing beside it.")
            return
        try:
            definition = _read(document.bodies[DEFINITION])
            _written(definition)
        except (ValueError, RecursionError) as error:
            yield Problem("definition", f"This is not JSON: {error}.")
            return
        if not isinstance(definition, dict) or definition.get("type") != key:
            yield Problem("type", f"The definition's type names the workflow, like its folder: {key!r}.")

    def save(self, organization: Organization, key: str, document: Document) -> None:
        definition, fields = _read(document.bodies[DEFINITION]), self.full(document)
        existing = Workflow.objects.for_organization(organization).filter(key=key).first()
        try:
            if existing is None:
                create_workflow(organization=organization, definition=definition, **fields)
            else:
                update_workflow(workflow=existing, definition=definition, **fields)
        except DefinitionInvalid as error:
            raise _in_definition(error) from error

    def delete(self, organization: Organization, key: str) -> None:
        delete_workflow(workflow=_workflow(organization, key))

    def unpublished(self, organization: Organization) -> Sequence[str]:
        rows = Workflow.objects.for_organization(organization).select_related("current_version")
        return sorted(
            row.key
            for row in rows
            if row.current_version is None or row.current_version.definition != row.definition
        )

    def publish(self, organization: Organization, key: str) -> None:
        try:
            publish_workflow(workflow=_workflow(organization, key))
        except DefinitionInvalid as error:
            raise _in_definition(error) from error

    def body_of(self, attr: str) -> str:
        return "" if attr.split(".", maxsplit=1)[0] in self.schema["properties"] else DEFINITION


def _in_definition(error: DefinitionInvalid) -> DefinitionInvalid:
    return DefinitionInvalid([Problem(one.path or "definition", one.message) for one in error.problems])


def _workflow(organization: Organization, key: str) -> Workflow:
    row: Workflow | None = Workflow.objects.for_organization(organization).filter(key=key).first()
    if row is None:
        raise NotFound("There is no such workflow.")
    return row


def _written(definition: Any) -> str:
    return json.dumps(definition, indent=2, ensure_ascii=False, allow_nan=False)


def _read(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:100]!r} is there twice")
    return made


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")
