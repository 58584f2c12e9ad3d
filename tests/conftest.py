"""What every test may use: organizations, people, API clients, and a corner of Redis per worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts.models import ApiKey, Organization, User
from accounts.models.organizations import Role
from accounts.services.api_keys import create_api_key
from accounts.services.organizations import add_member, create_organization
from castcomm.common.cache import FallbackRedisCache
from castcomm.common.ids import new_id
from tests import emptying
from tests.notifications.providers.matrix_table import pytest_terminal_summary  # noqa: F401 - a hook

BACKEND = "django.contrib.auth.backends.ModelBackend"


def pytest_configure(config: pytest.Config) -> None:
    """Give this worker its own names in Redis, before anything has connected."""
    prefix = f"{settings.REDIS_PREFIX}:test:{os.environ.get('PYTEST_XDIST_WORKER', 'main')}:{os.getpid()}"
    settings.REDIS_PREFIX = prefix
    settings.CACHES["default"]["KEY_PREFIX"] = f"{prefix}:cache"
    # A machine that is busy for half a second must not look like one whose Redis is away: then the cache counts anew.
    settings.CACHES["default"]["OPTIONS"] = {"socket_timeout": 20, "socket_connect_timeout": 20}
    settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = f"{prefix}:channels"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] = f"{prefix}:celery:"
    # The far sides of providers are stand-ins.
    settings.PROVIDER_STAND_INS = True
    # Real hashing is slow on purpose, which no test is about.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def _emptied_quickly() -> None:
    """After a test that commits, only what it wrote is taken away."""
    emptying.install()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        emptying.remember()


@pytest.fixture(scope="session")
def _redis_of_tests() -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _clean_redis(_redis_of_tests: redis.Redis) -> Iterator[None]:
    """No counter, ticket or bell of one test is heard by the next."""
    yield
    left = list(_redis_of_tests.scan_iter(f"*{settings.REDIS_PREFIX}:*", count=1000))
    if left:
        _redis_of_tests.unlink(*left)
    # What was counted in memory while Redis was away, and the pause that follows.
    cache._local.clear()
    FallbackRedisCache._away_until = 0.0


@pytest.fixture
def make_organization(db: None) -> Callable[..., Organization]:
    def make(name: str = "", **fields: Any) -> Organization:
        name = name or f"Organization {new_id().hex[-8:]}"
        return create_organization(name=name, **fields)

    return make


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """Make a person; with ``organization=`` a member of it."""

    def make(
        email: str = "",
        *,
        organization: Organization | None = None,
        role: str = Role.MEMBER,
        domain_role: str = "",
        **fields: Any,
    ) -> User:
        password = fields.pop("password", None)
        user = User.objects.create_user(
            email or f"person-{new_id().hex[-12:]}@example.com", password, **fields
        )
        if organization is not None:
            add_member(organization=organization, user=user, role=role, domain_role=domain_role)
        return user

    return make


@pytest.fixture
def organization(make_organization: Callable[..., Organization]) -> Organization:
    return make_organization("First")


@pytest.fixture
def other_organization(make_organization: Callable[..., Organization]) -> Organization:
    return make_organization("Second")


@pytest.fixture
def member(make_user: Callable[..., User], organization: Organization) -> User:
    return make_user("member@example.com", organization=organization, first_name="Mem", last_name="Ber")


@pytest.fixture
def staff(make_user: Callable[..., User], organization: Organization) -> User:
    return make_user("staff@example.com", organization=organization, role=Role.STAFF)


@pytest.fixture
def owner(make_user: Callable[..., User], organization: Organization) -> User:
    return make_user("owner@example.com", organization=organization, role=Role.OWNER)


@pytest.fixture
def make_api_key(db: None) -> Callable[..., tuple[ApiKey, str]]:
    def make(organization: Organization, *scopes: str, **fields: Any) -> tuple[ApiKey, str]:
        return create_api_key(organization=organization, name="test", scopes=scopes or ["admin"], **fields)

    return make


@pytest.fixture
def api_client() -> Callable[..., APIClient]:
    """``api_client(user)`` signs in with a session, ``api_client("cc_…")`` sends an API key."""

    def make(credential: User | str | None = None, **extra: Any) -> APIClient:
        client = APIClient(**extra)
        if isinstance(credential, str):
            client.credentials(HTTP_AUTHORIZATION=f"Api-Key {credential}")
        elif credential is not None:
            client.force_login(credential, backend=BACKEND)
        return client

    return make
