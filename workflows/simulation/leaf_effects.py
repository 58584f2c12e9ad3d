"""What steps that do one thing want done, done to objects."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from workflows.engine.wants import (
    CallHttp,
    HttpOutcome,
    PassThrottle,
    Posted,
    PostMessage,
    SetAttributes,
)
from workflows.simulation.assumptions import AssumedAnswer


class ListedLeafEffects:
    """Nobody is called: ``answer`` says what is assumed of the call of the step that is being run."""

    def __init__(self, set_attributes: Callable[[Mapping[str, Any]], None]) -> None:
        self.answer: Callable[[], AssumedAnswer] = AssumedAnswer
        self._set_attributes = set_attributes
        self._passes: dict[str, list[dt.datetime]] = defaultdict(list)

    def post_message(self, wanted: PostMessage) -> Posted:
        """Names for a message that nobody reads."""
        made = uuid.uuid5(uuid.NAMESPACE_OID, wanted.key)
        return Posted(uuid.uuid5(made, "thread"), made)

    def set_attributes(self, wanted: SetAttributes) -> None:
        """What the person has from now on, in the simulation."""
        self._set_attributes(wanted.values)

    def pass_throttle(self, wanted: PassThrottle) -> bool:
        """Count what passed in the simulation alone."""
        passes = self._passes[wanted.name]
        if sum(moment > wanted.now - wanted.per for moment in passes) >= wanted.limit:
            return False
        passes.append(wanted.now)
        return True

    def call_http(self, wanted: CallHttp) -> HttpOutcome:
        """The answer that is assumed, at once."""
        assumed = self.answer()
        if assumed.fails:
            return HttpOutcome(status=0, error=assumed.fails, attempts=wanted.retries + 1)
        return HttpOutcome(status=assumed.status, body=assumed.body)

    def http_outcome(self, key: str) -> HttpOutcome | None:
        """No step waits for one: each had its answer at once."""
        return None
