"""Circuit breakers per push service: one that hangs must not hold up the pushes to all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from notifications.providers.base import Ambiguous, NotSent, ProviderRefusal
from notifications.services import breakers

_LONGEST_KEY = 60  # as ``ProviderBreaker.account``


@contextmanager
def calling(service: str) -> Iterator[None]:
    """Around one call of a push service. Raises NotSent at once while the service is left alone.

    Counted against it is what the body raises as NotSent or Ambiguous, unless that is ``about_recipient``. Everything
    else shows that it is well.
    """
    key = service[:_LONGEST_KEY]
    permit = breakers.permit(key)
    if permit.state == "open":
        raise NotSent(
            f"{service} does not work at the moment.", retry_after=permit.retry_in, about_recipient=True
        )
    failure = "The call did not end."  # what else may happen here is no good sign either
    try:
        yield
        failure = ""
    except ProviderRefusal as refusal:
        failed = isinstance(refusal, NotSent | Ambiguous) and not refusal.about_recipient
        failure = refusal.detail if failed else ""
        raise
    finally:
        breakers.record(key, succeeded=int(not failure), failed=int(bool(failure)), reason=failure)
