"""What the steps of a definition refer to: expressions, templates, event types."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from workflows.definition.places import Place, all_places
from workflows.errors import DefinitionInvalid, Problem
from workflows.expressions import Environment, check_types, parse
from workflows.steps.base import Catalog, Expression, TemplateUse, step_types

# The fields of ``engine.ports.Person``, which the live engine fills; a person's other attributes are free.
PERSON_FIELDS = dict.fromkeys(
    (
        "id", "email", "first_name", "last_name", "display_name", "locale", "time_zone", "role", "domain_role"
    ),
    "string",
)  # fmt: skip


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
    """Raises DefinitionInvalid for what the steps rely on and will not find.

    That are templates and event types that are not there, names and types in expressions that do not fit what is
    declared, and variables that a template needs and nobody gives.
    """
    problems = [
        *_trigger_problems(definition),
        *_missing(definition, catalog),
        *_type_problems(definition),
        *_variable_problems(definition, catalog),
    ]
    if problems:
        raise DefinitionInvalid(problems)


def _trigger_problems(definition: Mapping[str, Any]) -> Iterator[Problem]:
    """A workflow that nothing would ever start must not look as if it ran."""
    if definition.get("trigger", {}).get("type") == "segment":
        yield Problem("trigger.type", "Nothing starts by segment here yet; use an event or a schedule.")


def _missing(definition: Mapping[str, Any], catalog: Catalog) -> Iterator[Problem]:
    for place in all_places(definition):
        for problem in step_types.get(place.type).check_references(place.step, catalog):
            yield _at(place, problem.path, problem.message)


def _type_problems(definition: Mapping[str, Any]) -> Iterator[Problem]:
    environment, earlier = _environment(definition), _steps_before(definition)
    for place, expression in all_expressions(definition):
        about = dataclasses.replace(environment, steps=earlier[place.path], event=expression.about_event)
        for problem in check_types(parse(expression.source), about, wanted=expression.expected):
            yield _at(place, expression.path, str(problem))


def _environment(definition: Mapping[str, Any]) -> Environment:
    """What every expression of the definition can rely on."""
    declared = definition.get("variables")
    return Environment(
        variables={name: one["type"] for name, one in declared.items()} if declared is not None else None,
        person=PERSON_FIELDS,
    )


def _steps_before(definition: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """For each path, the paths and ids of the steps that can have run when its step begins: jumps go forward only."""
    earlier: dict[str, frozenset[str]] = {}
    seen: set[str] = set()
    for place in all_places(definition):
        earlier[place.path] = frozenset(seen)
        seen |= {place.path, place.id} if place.id else {place.path}
    return earlier


def _variable_problems(definition: Mapping[str, Any], catalog: Catalog) -> Iterator[Problem]:
    """Only where variables are declared: without, the event may bring anything."""
    declared = definition.get("variables")
    if declared is None:
        return
    for place, use in all_templates(definition):
        for name, wanted in catalog.variables_of(use.key).items():
            if name in use.data:
                continue
            given = declared.get(name)
            if given is None and wanted.get("required"):
                yield _at(
                    place,
                    use.path,
                    f"The template {use.key!r} needs {name!r}, which is not among the variables.",
                )
            elif given is not None and not _goes_into(given["type"], str(wanted.get("type", ""))):
                yield _at(
                    place,
                    use.path,
                    f"The template {use.key!r} takes {name!r} as {wanted['type']}, not {given['type']}.",
                )


def _goes_into(given: str, wanted: str) -> bool:
    # Moments travel as text; templates read them as dates.
    return not wanted or given == wanted or {given, wanted} <= {"string", "date", "url"}


def _at(place: Place, path: str, message: str) -> Problem:
    return Problem(f"steps.{place.path}.{path}", message)
