"""Domain events: how news travels from a lower app to a higher one without an import.

Handlers run at once and in the publisher's transaction. What a handler writes is therefore kept or
rolled back together with the cause, and nothing is lost between the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar


@dataclass(frozen=True, kw_only=True)
class DomainEvent:
    """Something that has happened. Subclasses are frozen and carry ids and plain values, never models."""


Event = TypeVar("Event", bound=DomainEvent)
_handlers: dict[type[DomainEvent], list[Callable[[Any], None]]] = defaultdict(list)


def subscribe(event_type: type[Event]) -> Callable[[Callable[[Event], None]], Callable[[Event], None]]:
    """Decorator: call the function for each published event of exactly this type."""

    def decorate(handler: Callable[[Event], None]) -> Callable[[Event], None]:
        if handler not in _handlers[event_type]:
            _handlers[event_type].append(handler)
        return handler

    return decorate


def publish(event: DomainEvent) -> None:
    """Hand ``event`` to its handlers, in the order of their subscription; their errors reach the caller."""
    for handler in _handlers[type(event)]:
        handler(event)
