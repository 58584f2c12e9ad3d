"""Collect several runs of a person into one."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from castcomm.common.errors import Unprocessable
from workflows.durations import DURATION, duration_problem, parse_duration
from workflows.engine.ports import JoinDigest
from workflows.errors import Problem
from workflows.expressions import ExpressionError, evaluate
from workflows.steps.base import Expression, Step, StepContext, StepResult, register
from workflows.steps.common import EXPRESSION
from workflows.steps.delay import next_local_time

MODES = ("fixed", "lookback", "scheduled", "sliding")
DEFAULT_LIMIT = 100
_SECOND = dt.timedelta(seconds=1)
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_NEEDED = {"fixed": ("window",), "lookback": ("window",), "scheduled": ("at",), "sliding": ("window", "max")}


@register
class DigestStep(Step):
    """The first run of a person opens a window and goes on when it closes, with the data of all that came.

    Later ones end as *digested*. ``key`` is an expression: only runs for which it gives the same are collected
    together. Modes: ``fixed`` closes ``window`` after it opened; ``lookback`` lets a run pass at once if nothing
    came in the ``window`` before it; ``scheduled`` closes at the local time ``at`` (on ``weekdays``, 0 for Monday);
    ``sliding`` closes when nothing came for ``window``, at the latest ``max`` after it opened. ``limit`` items
    close it early.
    """

    type = "digest"
    label = "Digest"
    schema = {
        "properties": {
            "key": EXPRESSION,
            "mode": {"enum": list(MODES)},
            "window": DURATION,
            "max": DURATION,
            "at": {"type": "string", "maxLength": 5},
            "weekdays": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"type": "integer", "minimum": 0, "maximum": 6},
            },
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
        },
    }

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        mode = step.get("mode", "fixed")
        for name in ("window", "max", "at"):
            if name in _NEEDED[mode] and name not in step:
                yield Problem(name, f"A digest of the mode {mode} needs this.")
            if name not in _NEEDED[mode] and name in step:
                yield Problem(name, f"A digest of the mode {mode} has no {name}.")
        for name in ("window", "max"):
            if name in step:
                yield from duration_problem(step[name], name, least=_SECOND)
        if "at" in step and not _TIME.fullmatch(step["at"]):
            yield Problem("at", "A time such as 09:00.")

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        if "key" in step:
            yield Expression("key", step["key"], "any")

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        if context.earlier is not None:
            return self._close(context.earlier, context)
        joined = context.effects.join_digest(self._wanted(step, context))
        output = {"window": joined.window, "until": joined.closes_at.isoformat()}
        if joined.owner != context.origin.execution_id:
            output["owner"] = str(joined.owner)
            return StepResult.digested(f"It goes on with the execution {joined.owner}.", output)
        if joined.closed:
            return self._close(output, context)
        return StepResult.wait(joined.closes_at, output)

    def _close(self, earlier: Mapping[str, Any], context: StepContext) -> StepResult:
        closed = context.effects.close_digest(earlier["window"], now=context.clock.now())
        if isinstance(closed, dt.datetime):
            return StepResult.wait(closed, {**earlier, "until": closed.isoformat()})
        return StepResult.go_on({"items": list(closed.items), "count": len(closed.items)})

    def _wanted(self, step: Mapping[str, Any], context: StepContext) -> JoinDigest:
        now = context.clock.now()
        mode = step.get("mode", "fixed")
        length = parse_duration(step["window"]) / context.time_scale if "window" in step else None
        return JoinDigest(
            origin=context.origin,
            key=_key(step, context),
            item=context.data,
            now=now,
            until=now + length if length is not None else _next_time(step, context),
            limit=step.get("limit", DEFAULT_LIMIT),
            look_back=length if mode == "lookback" else None,
            sliding_max=parse_duration(step["max"]) / context.time_scale if mode == "sliding" else None,
        )


def _key(step: Mapping[str, Any], context: StepContext) -> str:
    if "key" not in step:
        return ""
    try:
        value = evaluate(step["key"], context.values, now=context.clock.now()).value
    except ExpressionError as error:
        raise Unprocessable(f"The key {step['key']!r} cannot be evaluated: {error}") from error
    text = "" if value is None else str(value)
    # A long key stays a key of its own.
    return text if len(text) <= 255 else f"{text[:200]}…{uuid.uuid5(uuid.NAMESPACE_OID, text)}"


def _next_time(step: Mapping[str, Any], context: StepContext) -> dt.datetime:
    return next_local_time(
        context.clock.now(),
        at=dt.time.fromisoformat(step["at"]),
        zone=str(context.person.fields.get("time_zone") or "UTC"),
        weekdays=step.get("weekdays", range(7)),
    )
