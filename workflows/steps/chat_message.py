"""Write into a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.engine.wants import PostMessage
from workflows.errors import Problem
from workflows.interpolation import expressions_in, fill
from workflows.steps.base import Expression, Step, StepContext, StepResult, register

_NAME = {"type": "string", "minLength": 1, "maxLength": 1000}


@register
class ChatMessageStep(Step):
    """``sender`` (id or address of a member) writes ``content`` into ``thread`` (its id), or to the person.

    ``to`` is ``user``: the direct conversation of both, which is opened when there is none. In each text
    ``{{ expression }}`` is filled in. The sender must be allowed to write there.
    """

    type = "chat_message"
    label = "Chat message"
    schema = {
        "properties": {
            "thread": _NAME,
            "to": {"const": "user"},
            "sender": _NAME,
            "content": {"type": "string", "minLength": 1, "maxLength": 10_000},
        },
        "required": ["sender", "content"],
    }

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        if ("thread" in step) is ("to" in step):
            yield Problem("thread", 'Give a thread, or "to": "user".')

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        for name in ("thread", "sender", "content"):
            yield from expressions_in(step.get(name), name)

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        posted = context.effects.post_message(
            PostMessage(
                organization=context.person.organization,
                user_id=context.person.id,
                sender=fill(step["sender"], context).strip(),
                thread=fill(step["thread"], context).strip() if "thread" in step else "",
                content=fill(step["content"], context),
                key=context.key,
            )
        )
        return StepResult.go_on({"thread": str(posted.thread_id), "message": str(posted.message_id)})
