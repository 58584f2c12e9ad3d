"""What the steps that send on one channel share."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workflows.engine.ports import Send
from workflows.errors import Problem
from workflows.interpolation import expressions_in, fill, fill_all
from workflows.steps.base import Catalog, Expression, Step, StepContext, StepResult, TemplateUse
from workflows.steps.common import DATA, KEY, PRIORITY

_TEXT = {"type": "string", "minLength": 1, "maxLength": 50_000}
_LINE = {"type": "string", "minLength": 1, "maxLength": 500}


class ChannelStep(Step):
    """``template`` is rendered with the execution's data, with the step's own ``data`` laid over it, in whose texts
    ``{{ expression }}`` is filled in; a text that is one expression alone has its value's type.

    ``content`` stands instead of a template: texts in which ``{{ expression }}`` is filled in. Preferences and quiet
    hours hold, unless the workflow is ``critical``.
    """

    channel: ClassVar[str]

    def __init_subclass__(cls, fields: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        texts = {name: _LINE if name in {"subject", "title", "action_url"} else _TEXT for name in fields}
        content = {"type": "object", "minProperties": 1, "properties": texts, "additionalProperties": False}
        cls.schema = {
            "properties": {"template": KEY, "content": content, "priority": PRIORITY, "data": DATA},
        }

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        if ("template" in step) is ("content" in step):
            yield Problem("template", "Give a template or content, one of them.")

    def check_references(self, step: Mapping[str, Any], catalog: Catalog) -> Iterator[Problem]:
        if "template" in step and not catalog.has_template(step["template"]):
            yield Problem("template", f"There is no published template {step['template']!r}.")

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        yield from expressions_in(step.get("content", {}), "content")
        yield from expressions_in(step.get("data", {}), "data")

    def templates(self, step: Mapping[str, Any]) -> Iterator[TemplateUse]:
        if "template" in step:
            yield TemplateUse("template", step["template"], step.get("data", {}))

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        sent = context.effects.send(
            Send(
                organization=context.person.organization,
                user_id=context.person.id,
                template=step.get("template"),
                content=_filled(step["content"], context) if "content" in step else None,
                channels=(self.channel,),
                priority=step.get("priority"),
                critical=context.critical,
                data={**context.data, **fill_all(step.get("data", {}), context)},
                key=context.key,
            )
        )
        what = {"template": step["template"]} if "template" in step else {}
        output = {**what, "request": str(sent.request_id)}
        return StepResult.go_on(output, notification_id=sent.notification_id)


def _filled(content: Mapping[str, str], context: StepContext) -> dict[str, str]:
    return {
        name: fill(text, context, escape=html.escape if name == "html" else str)
        for name, text in content.items()
    }
