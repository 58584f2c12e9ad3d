"""Call another system."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from castcomm.common.errors import Unprocessable
from workflows.engine.wants import CallHttp, HttpOutcome
from workflows.errors import Problem
from workflows.interpolation import expressions_in, fill, fill_all
from workflows.steps.base import Expression, Step, StepContext, StepResult, register

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
HIDDEN = "(hidden)"
_LOOK_AGAIN = dt.timedelta(minutes=2)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = re.compile(r"https?://[^/?#{}\s@\\]+(?:[/?#]|\Z)", re.IGNORECASE)
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "idempotency-key"})
_LONGEST_URL = 4_000
_LARGEST_BODY = 256 * 1024


@register
class HttpStep(Step):
    """``method`` (GET) ``url``, once the step is committed; the run waits for the answer.

    In the URL, in values of ``headers`` and in the texts of ``body`` (text, or JSON) ``{{ expression }}`` is filled in;
    not in the host. ``timeout`` is in seconds. ``retries`` follow answers that ask for another try and calls that
    certainly did nothing; a POST or PATCH of which nobody knows is not repeated. ``saveAs`` names where the answer
    goes in the run's data: ``{"status", "body"}``. When there is no answer below 400 the run fails, or goes on with
    ``onError`` ``continue``. Only addresses on the public internet are called. Values of headers are not recorded.
    """

    type = "http"
    label = "HTTP call"
    schema = {
        "properties": {
            "method": {"enum": list(METHODS)},
            "url": {"type": "string", "minLength": 1, "maxLength": 2_000},
            "headers": {
                "type": "object",
                "maxProperties": 30,
                "additionalProperties": {"type": "string", "maxLength": 4_000},
            },
            "body": {"type": ["string", "object", "array"], "maxLength": 50_000},
            "timeout": {"type": "number", "minimum": 1, "maximum": 30},
            "retries": {"type": "integer", "minimum": 0, "maximum": 10},
            "saveAs": {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]{0,63}\Z"},
            "onError": {"enum": ["fail", "continue"]},
        },
        "required": ["url"],
    }

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        if not _HOST.match(step["url"]):
            yield Problem("url", "http:// or https:// and a host in which nothing is filled in.")
        for name, value in step.get("headers", {}).items():
            if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
                yield Problem("headers", f"The header {name[:100]!r} cannot be set.")
            elif _CONTROL.search(value):
                yield Problem(f"headers.{name}", "One line of text.")
        if "body" in step and step.get("method", "GET") in {"GET", "HEAD"}:
            yield Problem("body", "A GET or HEAD has no body.")

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        yield from expressions_in(step["url"], "url")
        yield from expressions_in(step.get("headers"), "headers")
        yield from expressions_in(step.get("body"), "body")

    def recorded(self, step: Mapping[str, Any]) -> dict[str, Any]:
        if "headers" not in step:
            return dict(step)
        return {**step, "headers": dict.fromkeys(step["headers"], HIDDEN)}

    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        if context.earlier is None:
            outcome = context.effects.call_http(_call(step, context))
        else:
            outcome = context.effects.http_outcome(context.key)
        if outcome is None:
            # It is woken when the call has ended; this is for the case that nobody wakes it.
            return StepResult.wait(context.clock.now() + _LOOK_AGAIN, {"calling": True})
        return _after(step, outcome)


def _call(step: Mapping[str, Any], context: StepContext) -> CallHttp:
    url = fill(step["url"], context, escape=lambda value: quote(value, safe=""))
    headers = {name: fill(value, context) for name, value in step.get("headers", {}).items()}
    for name, value in headers.items():
        if _CONTROL.search(value):
            raise Unprocessable(f"The value of the header {name!r} has more than one line.")
    body, kind = _body(step.get("body"), context)
    if kind and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = kind
    if len(url) > _LONGEST_URL or len(body) > _LARGEST_BODY:
        raise Unprocessable("The address or the body is too long with what was filled in.")
    return CallHttp(
        organization_id=context.person.organization.id,
        method=step.get("method", "GET"),
        url=url,
        headers=headers,
        body=body,
        timeout=step.get("timeout", 10),
        retries=step.get("retries", 3),
        key=context.key,
        now=context.clock.now(),
    )


def _body(body: Any, context: StepContext) -> tuple[str, str]:
    if body is None:
        return "", ""
    if isinstance(body, str):
        return fill(body, context), "text/plain; charset=utf-8"
    return orjson.dumps(fill_all(body, context)).decode(), "application/json"


def _after(step: Mapping[str, Any], outcome: HttpOutcome) -> StepResult:
    output = {"status": outcome.status, "body": outcome.body, "attempts": outcome.attempts}
    if outcome.error:
        output["error"] = outcome.error
    failed = outcome.error or not 0 < outcome.status < 400
    if failed and step.get("onError", "fail") == "fail":
        raise Unprocessable(outcome.error or f"The answer was {outcome.status}.")
    saves = {step["saveAs"]: {"status": outcome.status, "body": outcome.body}} if "saveAs" in step else None
    return StepResult.go_on(output, saves=saves)
