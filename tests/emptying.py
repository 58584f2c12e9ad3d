"""Empties the database after a test that commits, in milliseconds.

Django truncates every table and then writes anew what ``post_migrate`` writes (content types, permissions,
schedules): half a second per test. Here only tables with rows are emptied, and what ``post_migrate`` wrote stays
as long as no test has changed it; then Django's own way follows.
"""

from __future__ import annotations

from django.apps import apps
from django.db import connection
from django.test import TransactionTestCase

_KEPT_APPS = ("auth", "contenttypes", "django_celery_beat", "sites")
_LARGE = 128 * 1024  # bytes
_django_s_way = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]
_as_migrated = ""  # what the kept tables held before the first test


def install() -> None:
    """Take over from Django for all tests of this process."""
    TransactionTestCase._fixture_teardown = _empty  # type: ignore[attr-defined]


def remember() -> None:
    """Note what ``post_migrate`` wrote; to be called when the test database has just been made."""
    global _as_migrated  # noqa: PLW0603 - one database per process
    _as_migrated = _fingerprint()


def _empty(case: TransactionTestCase) -> None:
    if not _as_migrated or _fingerprint() != _as_migrated:
        _django_s_way(case)
        return
    kept = _kept_tables()
    tables = [
        name for name in connection.introspection.django_table_names(only_existing=True) if name not in kept
    ]
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {quote(name)})" for name in tables
            )
        )
        filled = [name for (name,) in cursor.fetchall()]
        if filled:
            # One statement string is one transaction: foreign keys are looked at when everything is gone.
            cursor.execute(";".join(f"DELETE FROM {quote(name)}" for name in filled))
            # Every later look into a table would walk over what a large test has left in it.
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND pg_relation_size(oid) > %s",
                [filled, _LARGE],
            )
            for (name,) in cursor.fetchall():
                cursor.execute(f"VACUUM {quote(name)}")


def _kept_tables() -> list[str]:
    """The tables that migrations fill, in a fixed order; without those that link people to permissions."""
    return sorted(
        model._meta.db_table
        for model in apps.get_models()
        if model._meta.app_label in _KEPT_APPS and model._meta.managed
    )


def _fingerprint() -> str:
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT md5(concat_ws('|', "
            + ", ".join(
                f"(SELECT string_agg(t::text, ',' ORDER BY t::text) FROM {quote(name)} t)"
                for name in _kept_tables()
            )
            + "))"
        )
        return str(cursor.fetchone()[0])
