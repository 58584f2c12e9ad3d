"""The hot paths' way to the database: one kept cursor per connection, and what becomes of it when that breaks."""

from __future__ import annotations

import psycopg
import pytest
from django.db import OperationalError, connection

from castcomm.celery import look_after_connections
from castcomm.common import sql


def test_statements_follow_one_another_on_one_connection(db: None) -> None:
    assert sql.run("SELECT %s::int + %s::int", (1, 2)) == [(3,)]
    assert sql.run("SELECT %(word)s::text || %(word)s", {"word": "ha"}) == [("haha",)]
    assert sql.run("CREATE TEMPORARY TABLE counted (number int)", prepare=False) == []
    assert sql.count("INSERT INTO counted SELECT generate_series(1, 3)") == 3


def test_a_large_answer_does_not_stay_in_memory(db: None) -> None:
    rows = sql.run("SELECT generate_series(1, %s)", (sql.KEPT_ROWS + 1,))
    assert len(rows) == sql.KEPT_ROWS + 1
    assert getattr(connection, sql._KEPT) is None


@pytest.mark.django_db(transaction=True)
def test_a_task_after_the_database_went_away_finds_a_new_connection() -> None:
    (mine,) = sql.run("SELECT pg_backend_pid()")[0]
    with psycopg.connect(**_address()) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (mine,))
    with pytest.raises(OperationalError):
        sql.run("SELECT 1")
    look_after_connections()
    (fresh,) = sql.run("SELECT pg_backend_pid()")[0]
    assert fresh != mine


@pytest.mark.django_db(transaction=True)
def test_a_task_keeps_the_connection_of_the_one_before() -> None:
    (before,) = sql.run("SELECT pg_backend_pid()")[0]
    look_after_connections()
    assert sql.run("SELECT pg_backend_pid()") == [(before,)]


def _address() -> dict[str, object]:
    known = connection.settings_dict
    return {
        "host": known["HOST"],
        "port": known["PORT"],
        "user": known["USER"],
        "password": known["PASSWORD"],
        "dbname": known["NAME"],
    }
