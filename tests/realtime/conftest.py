from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.conf import settings

from .running import Person, Server, running_server


@pytest.fixture(scope="package")
def redis_prefix() -> Iterator[str]:
    """Everything of these tests in Redis starts with this, in the servers and in this process."""
    before = settings.REDIS_PREFIX
    settings.REDIS_PREFIX = f"{before}-{uuid4().hex[:8]}"
    yield settings.REDIS_PREFIX
    settings.REDIS_PREFIX = before


@pytest.fixture(scope="package")
def server(redis_prefix: str) -> Iterator[Server]:
    with running_server(redis_url=settings.REDIS_URL, redis_prefix=redis_prefix) as running:
        yield running


@pytest.fixture
def person() -> Person:
    return Person()
