"""Leaves a push service alone that fails: one that hangs must not hold up the pushes to all others.

The circuit breakers of accounts (``notifications.services.breakers``) are shared by all workers and shown to staff. A
push service is no account of ours, there are several, and each process calls them from many threads at once: here
every process learns for itself, in memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from notifications.providers.base import Ambiguous, NotSent, ProviderRefusal

log = structlog.get_logger(__name__)

FAILURES = 5  # in a row
REST = 30.0  # seconds; then one call finds out
_MOST_SERVICES = 1000


@dataclass(slots=True)
class _Service:
    failures: int = 0
    rests_until: float = 0.0


class PushServices:
    """What one provider has seen of the push services that it calls; shared by its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: dict[str, _Service] = {}

    @contextmanager
    def calling(self, name: str) -> Iterator[None]:
        """Around one call of a service. Raises NotSent at once while the service is left alone.

        Counted against it is what the body raises as NotSent or Ambiguous, unless that is ``about_recipient``.
        Everything else shows that it is well.
        """
        service = self._enter(name)
        failed = True  # what else may happen in there is no good sign either
        try:
            yield
            failed = False
        except ProviderRefusal as refusal:
            failed = isinstance(refusal, NotSent | Ambiguous) and not refusal.about_recipient
            raise
        finally:
            self._leave(name, service, failed)

    def _enter(self, name: str) -> _Service:
        now = time.monotonic()
        with self._lock:
            if len(self._services) >= _MOST_SERVICES:
                self._services.clear()
            service = self._services.setdefault(name, _Service())
            wait = service.rests_until - now
            if service.failures >= FAILURES:
                if wait > 0:
                    raise NotSent(f"{name} does not work at the moment.", retry_after=wait)
                service.rests_until = now + REST  # for all others, until this call has found out
        return service

    def _leave(self, name: str, service: _Service, failed: bool) -> None:
        with self._lock:
            before = service.failures
            service.failures = before + 1 if failed else 0
            if failed and service.failures >= FAILURES:
                service.rests_until = time.monotonic() + REST
        if before < FAILURES <= service.failures:
            log.warning("push.service_left_alone", service=name, seconds=REST)
        elif before >= FAILURES and not failed:
            log.info("push.service_works", service=name)
