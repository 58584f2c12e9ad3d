"""The hot paths' way to the database: statements prepared on a connection, and what becomes of them when it breaks."""

from __future__ import annotations

import copy
import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError, ProgrammingError, connection, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper

from castcomm.celery import look_after_connections
from castcomm.common import prepared, sql


def test_statements_follow_one_another_on_one_connection(db: None) -> None:
    assert sql.run("SELECT %s::int + %s::int", (1, 2)) == [(3,)]
    assert sql.run("SELECT %(word)s::text || %(word)s", {"word": "ha"}) == [("haha",)]
    assert sql.run("CREATE TEMPORARY TABLE counted (number int)", prepare=False) == []
    assert sql.count("INSERT INTO counted SELECT generate_series(1, 3)") == 3


def test_values_come_back_as_from_a_cursor(db: None) -> None:
    moment = dt.datetime(2026, 3, 29, 1, 30, tzinfo=dt.UTC)
    given = (
        uuid.uuid4(),
        moment,
        moment.date(),
        Decimal("1.50"),
        True,
        2**40,
        "é%",
        b"\x00a",
        ["a", None],
        None,
    )
    statement = (
        "SELECT %s, %s, %s, %s, %s, %s, %s::text, %s, %s::text[], %s::text, 'a%%b', '{\"a\": [1]}'::jsonb"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        expected = cursor.fetchall()
    for _ in range(2):
        (row,) = sql.run(statement, given)
        assert row[:-1] == expected[0][:-1]
        assert row[-1] in ({"a": [1]}, '{"a": [1]}')
    # A None is prepared for itself: it says nothing about the type of its place.
    assert sql.run("SELECT %s::int", (None,)) == [(None,)]
    assert sql.run("SELECT %s::int", (5,)) == [(5,)]


@pytest.mark.parametrize(
    ("statement", "params"),
    [
        ("SELECT %s::int", ()),
        ("SELECT %s::int", (1, 2)),
        ("SELECT %s::int", {"a": 1}),
        ("SELECT %(a)s::int", (1,)),
        ("SELECT %d", (1,)),
    ],
)
def test_parameters_that_do_not_fit_are_refused(db: None, statement: str, params: Any) -> None:
    with pytest.raises(ProgrammingError):
        sql.run(statement, params)
    assert sql.run("SELECT 1") == [(1,)]


def test_errors_are_django_s_and_carry_their_state(db: None) -> None:
    with pytest.raises(DataError) as caught, transaction.atomic():
        sql.run("SELECT 1 / %s::int", (0,))
    assert isinstance(caught.value.__cause__, psycopg.errors.DivisionByZero)
    with pytest.raises(ProgrammingError), transaction.atomic():
        sql.run("SELECT nonsense")
    assert sql.run("SELECT 1 / %s::int", (1,)) == [(1,)]


@pytest.mark.django_db(transaction=True)
def test_the_first_statement_of_a_transaction_belongs_to_it() -> None:
    sql.run("CREATE TABLE kept_by_test (number int)", prepare=False)
    try:
        for _ in range(2):  # prepared by the first round
            with transaction.atomic():
                assert sql.count("INSERT INTO kept_by_test VALUES (%s)", (1,)) == 1
                assert sql.count("INSERT INTO kept_by_test VALUES (%s)", (2,)) == 1
                transaction.set_rollback(True)
        assert sql.run("SELECT count(*) FROM kept_by_test") == [(0,)]
        sql.count("INSERT INTO kept_by_test VALUES (%s)", (1,))
        assert sql.run("SELECT count(*) FROM kept_by_test") == [(1,)]
    finally:
        sql.run("DROP TABLE kept_by_test", prepare=False)


def test_statements_that_somebody_deallocated_are_prepared_anew(db: None) -> None:
    assert sql.run("SELECT 1 + %s::int", (1,)) == [(2,)]
    sql.run("DEALLOCATE ALL", prepare=False)
    with pytest.raises(ProgrammingError), transaction.atomic():
        sql.run("SELECT 1 + %s::int", (1,))
    assert sql.run("SELECT 1 + %s::int", (1,)) == [(2,)]


def test_what_was_not_used_for_long_is_prepared_anew(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "MAX_STATEMENTS", 3)
    ours = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'castcomm%%'"
    for _ in range(2):
        for number in range(6):
            assert sql.run(f"SELECT {number} + %s::int", (1,)) == [(number + 1,)]
    assert sql.run(ours)[0][0] <= 3


@pytest.mark.django_db(transaction=True)
def test_a_connection_of_a_pool_knows_its_statements_the_next_time() -> None:
    known = copy.deepcopy(connection.settings_dict)
    known["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 1}
    known["CONN_MAX_AGE"] = 0
    pooled = DatabaseWrapper(known, alias="pooled")
    connections["pooled"] = pooled
    try:
        made = set()
        for number in range(3):
            assert sql.run("SELECT %s::int", (number,), using="pooled") == [(number,)]
            made.add(sql.run("SELECT pg_backend_pid()", using="pooled")[0][0])
            pooled.close()
        assert len(made) == 1
    finally:
        pooled.close_pool()
        del connections["pooled"]


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
