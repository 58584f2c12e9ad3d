"""Send a template by e-mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.engine.ports import Send
from workflows.errors import Problem
from workflows.steps.base import Catalog, Step, StepContext, StepResult, TemplateUse, register
from workflows.steps.common import DATA, KEY, PRIORITY


@register
class EmailStep(Step):
    """``template`` is rendered with the execution's data, with the step's own ``data`` laid over it."""

    type = "email"
    label = "E-mail"
    schema = {"properties": {"template": KEY, "priority": PRIORITY, "data": DATA}, "required": ["template"]}

    def check_references(self, step: Mapping[str, Any], catalog: Catalog) -> Iterator[Problem]:
        if not catalog.has_template(step["template"]):
            yield Problem("template", f"There is no published template {step['template']!r}.")

    def templates(self, step: Mapping[str, Any]) -> Iterator[TemplateUse]:
        yield TemplateUse("template", step["template"], step.get("data", {}))

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        sent = context.effects.send(
            Send(
                organization=context.person.organization,
                user_id=context.person.id,
                template=step["template"],
                channels=("email",),
                priority=step.get("priority"),
                data={**context.data, **step.get("data", {})},
                key=context.key,
            )
        )
        output = {"template": step["template"], "request": str(sent.request_id)}
        return StepResult.go_on(output, notification_id=sent.notification_id)
