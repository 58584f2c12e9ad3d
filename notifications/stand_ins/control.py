"""The control API, for other processes: what ``StandIn`` does in Python, over HTTP.

``GET  /_control/state``                   what every provider does and has counted
``GET  /_control/accepted?provider=NAME``  the last accepted messages (``limit``, 100 by default)
``POST /_control/break``                   ``{"provider", "mode", "retry_after", "times", "seconds", "takes"}``
``POST /_control/mend``                    ``{"provider"}``; without, all
``POST /_control/forget``                  ``{"provider"}``; without, all

Answers are JSON; a mistake is 400 with ``{"error": "…"}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from notifications.stand_ins.far_side import Answer, Call, json_answer

if TYPE_CHECKING:
    from notifications.stand_ins.server import StandIn

_BREAK_FIELDS = {
    "mode": (str,),
    "retry_after": (int, float, type(None)),
    "times": (int, type(None)),
    "seconds": (int, float),
    "takes": (bool, type(None)),
}


def answer_control(server: StandIn, path: str, call: Call) -> Answer:
    """Do what a control call asks for."""
    try:
        match call.method, path:
            case "GET", "state":
                return json_answer(200, state(server))
            case "GET", "accepted":
                return json_answer(200, _accepted(server, call))
            case "POST", "break":
                asked = _object(call)
                server.break_(_provider(asked), **_fault_of(asked))
            case "POST", "mend":
                server.mend(_object(call).get("provider"))
            case "POST", "forget":
                server.forget(_object(call).get("provider"))
            case _:
                return json_answer(404, {"error": f"there is no {call.method} {path}"})
    except ValueError as error:
        return json_answer(400, {"error": str(error)})
    return json_answer(200, state(server))


def state(server: StandIn) -> dict[str, Any]:
    """Every provider's URL, mode and counters."""
    return {"providers": {key: _state_of(server, key) for key in server.sides}}


def _state_of(server: StandIn, key: str) -> dict[str, Any]:
    current = server.fault_of(key)
    return {
        "url": server.url(key),
        "mode": server.mode(key),
        "retry_after": current.retry_after if current else None,
        "times": current.times if current else None,
        "calls": server.calls(key),
        "accepted": server.accepted_count(key),
        "duplicates": server.duplicates(key),
    }


def _accepted(server: StandIn, call: Call) -> list[dict[str, Any]]:
    query = parse_qs(call.query)
    limit = query.get("limit", ["100"])[0]
    if not limit.isdigit():
        raise ValueError(f"limit is {limit!r}; it must be a number")
    provider = query.get("provider", [""])[0]
    return [
        {
            "to": one.to,
            "message_id": one.message_id,
            "delivery_id": one.delivery_id,
            "idempotency_key": one.idempotency_key,
            "body": one.body,
            "headers": one.headers,
        }
        for one in server.accepted(provider)[-int(limit) :]
    ]


def _object(call: Call) -> dict[str, Any]:
    value = call.json() if call.content else {}
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")
    return value


def _provider(asked: dict[str, Any]) -> str:
    provider = asked.pop("provider", "")
    if not isinstance(provider, str) or not provider:
        raise ValueError("provider is required")
    return provider


def _fault_of(asked: dict[str, Any]) -> dict[str, Any]:
    if "mode" not in asked:
        raise ValueError("mode is required")
    for name, value in asked.items():
        if name not in _BREAK_FIELDS:
            raise ValueError(f"{name} is not known; known are {', '.join(_BREAK_FIELDS)}")
        if not isinstance(value, _BREAK_FIELDS[name]):
            raise ValueError(f"{name} is {value!r}, which it cannot be")
    return asked
