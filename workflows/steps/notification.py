"""Send a notification by its event type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.engine.ports import Send
from workflows.errors import Problem
from workflows.interpolation import expressions_in, fill_all
from workflows.steps.base import Catalog, Expression, Step, StepContext, StepResult, register
from workflows.steps.common import DATA, KEY, PRIORITY


@register
class NotificationStep(Step):
    """``eventType`` decides the channels, as for every other notification of that type. ``data`` as in ``sends``."""

    type = "notification"
    label = "Notification"
    schema = {"properties": {"eventType": KEY, "priority": PRIORITY, "data": DATA}, "required": ["eventType"]}

    def check_references(self, step: Mapping[str, Any], catalog: Catalog) -> Iterator[Problem]:
        if not catalog.has_event_type(step["eventType"]):
            yield Problem("eventType", f"There is no active event type {step['eventType']!r}.")

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        yield from expressions_in(step.get("data", {}), "data")

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        sent = context.effects.send(
            Send(
                organization=context.person.organization,
                user_id=context.person.id,
                event_type=step["eventType"],
                priority=step.get("priority"),
                critical=context.critical,
                data={**context.data, **fill_all(step.get("data", {}), context)},
                key=context.key,
            )
        )
        output = {"event_type": step["eventType"], "request": str(sent.request_id)}
        return StepResult.go_on(output, notification_id=sent.notification_id)


@register
class NotifyStep(NotificationStep):
    """Another name for ``notification``."""

    type = "notify"
    label = "Notify"
