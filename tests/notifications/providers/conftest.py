"""The stand-ins of all providers, and mail providers that are led to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from notifications.stand_ins import StandIn, stand_in

from .mail_far_sides import providers_at


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


@pytest.fixture
def provider(server: StandIn) -> Iterator[Callable[..., Any]]:
    """``provider("resend", from_email=…)``: one whose far side is the stand-in."""
    with providers_at(server) as get:
        yield get
