"""Whether a definition can run, with everything that is wrong with it named."""

from __future__ import annotations

import json
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Any

from celery.schedules import ParseException, crontab

from castcomm.common.problems import check
from workflows.definition.flow import flow_problems
from workflows.definition.places import child_lists
from workflows.definition.schema import MAX_STEPS, TRIGGERS, frame_schema
from workflows.errors import DefinitionInvalid, Problem
from workflows.expressions import ExpressionError, parse
from workflows.steps.base import step_types

MAX_BYTES = 256 * 1024
MAX_DEPTH = 8
_ANY_STEP = {"step": {"type": "object"}}


def validate_definition(definition: Any) -> dict[str, Any]:
    """The definition as it is; raises DefinitionInvalid with everything that is wrong."""
    problems = list(_problems_of(definition))
    if problems:
        raise DefinitionInvalid(problems)
    checked: dict[str, Any] = definition
    return checked


def _problems_of(definition: Any) -> Iterator[Problem]:
    unstorable = _unstorable(definition)
    if unstorable:
        yield Problem("", unstorable)
        return
    found = [*_frame_problems(definition)]
    steps = definition.get("steps") if isinstance(definition, dict) else None
    if isinstance(steps, list):
        found += _list_problems(steps[:MAX_STEPS], "steps", 1)
        if not found and _count(steps) > MAX_STEPS:
            found.append(Problem("steps", f"At most {MAX_STEPS}, those inside of others included."))
    yield from found or flow_problems(definition)


def _frame_problems(definition: Any) -> Iterator[Problem]:
    frame = {**frame_schema(), "$defs": _ANY_STEP}
    # Which kind of trigger it is comes first, so that the sentences are about that kind.
    frame["properties"]["trigger"] = {}
    yield from check(frame, definition, "")
    if isinstance(definition, dict) and "trigger" in definition:
        yield from _trigger_problems(definition)


def _trigger_problems(definition: Mapping[str, Any]) -> Iterator[Problem]:
    trigger = definition["trigger"]
    if "triggerEvent" in definition:
        yield Problem("trigger", "A workflow has a triggerEvent or a trigger, not both.")
    kind = trigger.get("type") if isinstance(trigger, dict) else None
    if not isinstance(kind, str) or kind not in TRIGGERS:
        yield Problem("trigger.type", f"This must be one of {', '.join(TRIGGERS)}.")
        return
    found = list(check(TRIGGERS[kind], trigger, "trigger"))
    if not found and kind == "schedule":
        found = list(_schedule_problems(trigger))
    yield from found


def _schedule_problems(trigger: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        crontab.from_string(trigger["cron"])
    except (ParseException, ValueError, TypeError, KeyError):
        yield Problem("trigger.cron", "Five fields: minute, hour, day of month, month, day of week.")
    if not known_time_zone(trigger.get("timeZone", "UTC")):
        yield Problem("trigger.timeZone", f"There is no time zone {trigger['timeZone']!r}.")
    yield from _syntax_problem(trigger["audience"], "trigger.audience")


def known_time_zone(name: str) -> bool:
    """Whether ``name`` is a zone of the tz database."""
    return name in zoneinfo.available_timezones()


def _list_problems(steps: list[Any], path: str, depth: int) -> Iterator[Problem]:
    if depth > MAX_DEPTH:
        yield Problem(path, f"Steps may stand at most {MAX_DEPTH} deep inside each other.")
        return
    for index, step in enumerate(steps):
        here = f"{path}.{index}"
        if not isinstance(step, dict):
            # The outermost list was checked with the frame.
            if depth > 1:
                yield Problem(here, "This must be an object.")
            continue
        yield from _step_problems(step, here)
        for list_path, children in child_lists(step):
            yield from _list_problems(list(children), f"{here}.{list_path}", depth + 1)


def _step_problems(step: dict[str, Any], path: str) -> Iterator[Problem]:
    kind = step.get("type")
    if "type" not in step:
        yield Problem(f"{path}.type", f"A step needs a type: {', '.join(step_types)}.")
        return
    if not isinstance(kind, str) or kind not in step_types:
        yield Problem(f"{path}.type", f"There is no step type {kind!r}; there are {', '.join(step_types)}.")
        return
    step_type = step_types.get(kind)
    schema = {**step_type.full_schema(), "$defs": {"step": {}}}
    found = list(check(schema, step, path))
    if not found:
        found = [Problem(f"{path}.{one.path}", one.message) for one in step_type.validate(step)]
    if not found:
        for expression in step_type.all_expressions(step):
            found += _syntax_problem(expression.source, f"{path}.{expression.path}")
    yield from found


def _syntax_problem(source: str, path: str) -> Iterator[Problem]:
    try:
        parse(source)
    except ExpressionError as error:
        yield Problem(path, str(error))


def _count(steps: list[Any]) -> int:
    return sum(1 + sum(_count(list(inner)) for _, inner in child_lists(step)) for step in steps)


def _unstorable(definition: Any) -> str:
    """A sentence when PostgreSQL could not keep it, else empty."""
    try:
        text = json.dumps(definition, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (ValueError, RecursionError, TypeError):
        return "This is not JSON that can be stored."
    if size > MAX_BYTES:
        return f"A definition has at most {MAX_BYTES // 1024} KiB."
    return "Text may not contain NUL characters." if "\\u0000" in text else ""
