"""Ids, clocks, registries, events and errors: what everything stands on."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

import pytest

from castcomm.common import events
from castcomm.common.clock import SystemClock, VirtualClock, now
from castcomm.common.errors import CastCommError, NotFound, RateLimited
from castcomm.common.ids import new_id, parse_id
from castcomm.common.registry import Registry, UnknownKey


def test_ids_sort_by_their_making() -> None:
    made = [new_id() for _ in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {identifier.version for identifier in made} == {7}


@pytest.mark.parametrize("text", ["", "x", "123", None, 7, "0190-zz", b"0"])
def test_what_spells_no_id_is_none(text: object) -> None:
    assert parse_id(text) is None


def test_an_id_survives_its_spelling() -> None:
    made = new_id()
    assert parse_id(str(made)) == made == parse_id(made)
    assert isinstance(parse_id(str(made)), uuid.UUID)


def test_the_system_clock_is_aware_and_utc() -> None:
    assert SystemClock().now().utcoffset() == dt.timedelta(0)
    assert abs(SystemClock().now() - now()) < dt.timedelta(seconds=5)


def test_a_virtual_clock_moves_only_forward() -> None:
    start = now()
    clock = VirtualClock(start)
    clock.advance_to(start + dt.timedelta(days=1))
    clock.advance_to(start)
    assert clock.now() == start + dt.timedelta(days=1)


def test_a_registry_refuses_to_replace() -> None:
    registry: Registry[object] = Registry("provider")
    first = object()
    registry.register("smtp", first)
    registry.register("smtp", first)
    with pytest.raises(ValueError, match="provider 'smtp' is registered twice"):
        registry.register("smtp", object())
    assert registry.get("smtp") is first
    assert list(registry) == ["smtp"]


def test_a_registry_names_what_there_is() -> None:
    registry: Registry[int] = Registry("step")
    registry.register("delay", 1)
    with pytest.raises(UnknownKey, match="no step 'dealy'; known: delay"):
        registry.get("dealy")


@dataclass(frozen=True, kw_only=True)
class Rang(events.DomainEvent):
    times: int


def test_events_reach_each_handler_once_and_errors_reach_the_publisher() -> None:
    heard: list[int] = []

    def listen(event: Rang) -> None:
        heard.append(event.times)
        if event.times > 1:
            raise RuntimeError("too loud")

    events.subscribe(Rang)(listen)
    events.subscribe(Rang)(listen)
    events.publish(Rang(times=1))
    assert heard == [1]
    with pytest.raises(RuntimeError, match="too loud"):
        events.publish(Rang(times=2))


def test_errors_carry_what_a_caller_needs() -> None:
    error = NotFound("No such thread.", attr="thread")
    assert isinstance(error, CastCommError)
    assert (error.status_code, error.code, error.attr, error.retryable) == (404, "not_found", "thread", False)
    assert RateLimited("Slow down.", retry_after=2.5).retryable
    assert CastCommError("x", code="special").code == "special"
