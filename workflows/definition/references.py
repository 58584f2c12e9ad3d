"""What the steps of a definition refer to: expressions, templates, event types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.definition.places import Place, all_places
from workflows.errors import DefinitionInvalid, Problem
from workflows.steps.base import Catalog, Expression, TemplateUse, step_types


def all_expressions(definition: Mapping[str, Any]) -> Iterator[tuple[Place, Expression]]:
    """Each expression of each step, ``when`` included; paths are relative to the step."""
    for place in all_places(definition):
        for expression in step_types.get(place.type).all_expressions(place.step):
            yield place, expression


def all_templates(definition: Mapping[str, Any]) -> Iterator[tuple[Place, TemplateUse]]:
    """Each use of a template."""
    for place in all_places(definition):
        for use in step_types.get(place.type).templates(place.step):
            yield place, use


def check_references(definition: Mapping[str, Any], catalog: Catalog) -> None:
    """Raises DefinitionInvalid for templates and event types that are not there."""
    problems = [
        Problem(f"steps.{place.path}.{problem.path}", problem.message)
        for place in all_places(definition)
        for problem in step_types.get(place.type).check_references(place.step, catalog)
    ]
    if problems:
        raise DefinitionInvalid(problems)
