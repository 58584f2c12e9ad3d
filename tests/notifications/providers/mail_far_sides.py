"""Mail providers over HTTP with far sides on loopback: the stand-ins, or one that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from notifications.stand_ins import StandIn

from .far_side import FarSide, answering, far_side
from .subjects import mail, make

CREDENTIALS: dict[str, dict[str, str]] = {
    "sendgrid": {"api_key": "key"},
    "mailgun": {"api_key": "key", "domain": "mg.example.com"},
    "resend": {"api_key": "key"},
    "postmark": {"api_key": "key"},
    "amazon_ses": {"access_key": "id", "secret_key": "key", "region": "eu-central-1"},
}
STAND_INS = {key: "ses" if key == "amazon_ses" else key for key in CREDENTIALS}
JSON = "Content-Type: application/json\r\n"
each = pytest.mark.parametrize("key", CREDENTIALS)


@contextmanager
def providers_at(server: StandIn) -> Iterator[Callable[..., Any]]:
    """Makes providers whose far side is the stand-in, and closes them."""
    made = []

    def get(key: str, **more: str) -> Any:
        given = {**CREDENTIALS[key], "api_url": server.url(STAND_INS[key]), **more}
        made.append(make("email", key, given))
        return made[-1]

    yield get
    for one in made:
        one.close()


def at(key: str, far: FarSide, **more: str) -> Any:
    """A provider whose far side answers as it is told."""
    return make("email", key, {**CREDENTIALS[key], "api_url": far.url, **more})


def said(key: str, *answers: bytes, message: Any = None) -> Any:
    with far_side(answering(*answers)) as far:
        one = at(key, far)
        result = one.deliver(message or mail())
        one.close()
    return result
