"""The names of people as live frames carry them."""

from __future__ import annotations

import threading
import time
import uuid

from django.contrib.auth import get_user_model

LIFETIME = 30.0  # seconds; a new name shows in live frames after this at the latest
CAPACITY = 20_000

_names: dict[uuid.UUID, tuple[float, str]] = {}
_lock = threading.Lock()


def display_name(user_id: uuid.UUID) -> str:
    """What others see as the name of this person; remembered for LIFETIME, else one query.

    Raises ``User.DoesNotExist`` for an id that nobody has.
    """
    moment = time.monotonic()
    known = _names.get(user_id)
    if known is not None and known[0] > moment:
        return known[1]
    name = get_user_model().objects.only("first_name", "last_name", "email").get(id=user_id).display_name
    with _lock:
        if len(_names) >= CAPACITY:
            _names.clear()
        _names[user_id] = (moment + LIFETIME, name)
    return name
