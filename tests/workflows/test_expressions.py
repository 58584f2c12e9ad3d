"""The language of conditions: what it says, and that nothing gets out of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castcomm.common.ids import new_id
from workflows.durations import parse_duration
from workflows.engine.ports import Person
from workflows.engine.values import ExecutionValues
from workflows.expressions import Environment, Evaluation, ExpressionError, check_types, evaluate, parse
from workflows.expressions.dates import write_duration
from workflows.expressions.functions import FUNCTIONS

DATA = {
    "score": 7,
    "role": "ACTOR",
    "tags": ["a", "b"],
    "plan": {"name": "pro", "seats": 3},
    "zero": 0,
    "no": False,
}
ATTRIBUTES = {"profile_completion": 30, "role": "never seen bare", "city": "Prague", "email": "shadowed"}


def values(data: dict[str, Any] = DATA) -> ExecutionValues:
    person = Person(
        id=new_id(),
        organization=None,  # type: ignore[arg-type]
        fields={"email": "person@example.com", "locale": "en"},
        attributes=ATTRIBUTES,
    )
    return ExecutionValues(data=data, person=person, results=lambda: {"1": {"value": 5, "list": [{"x": 1}]}})


ENVIRONMENT = Environment(
    variables={
        "order_id": "string", "total": "number", "paid": "boolean", "due": "date", "tags": "list"
    },
    person={"email": "string", "locale": "string"},
    steps=frozenset({"ask", "3.otherwise.0"}),
)  # fmt: skip


def result(expression: str) -> Any:
    return evaluate(expression, values()).value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("profile_completion < 50", True),
        ("profile_completion >= 50", False),
        ("1 + 2 * 3 == 7", True),
        ("(1 + 2) * 3 == 9", True),
        ("10 - 4 - 3 == 3", True),
        ("7 % 4 == 3 and 7 / 2 == 3.5", True),
        ("-score < -6", True),
        ("- - 1 == 1", True),
        ("not score == 7", False),
        ("not no and not (1 > 2)", True),
        ("true or missing < 1", True),
        ("false and 1 / 0 == 1", False),
        ("role == 'ACTOR' or role == 'DIRECTOR'", True),
        ('role in ["ACTOR", "DIRECTOR"]', True),
        ("role not in ['ACTOR']", False),
        ("'b' in tags and 'c' not in tags", True),
        ("'ACT' in role", True),
        ("data.plan.name == 'pro' and plan.seats > 2", True),
        ("data.tags.1 == 'b'", True),
        ("user.profile_completion == 30 and user.locale == 'en'", True),
        ("user.email == 'person@example.com'", True),
        ("user.role == 'never seen bare'", True),
        ("city == 'Prague'", True),
        ("steps.1.result.value == 5", True),
        ("steps.1.result.list.0.x == 1", True),
        ("steps.9.result.value == null", True),
        ("zero == false", False),
        ("no == false", True),
        ("1 == 1.0", True),
        ("1 == '1'", False),
        ("1 != '1'", True),
        ("'it\\'s' == \"it's\"", True),
        ("1e3 == 1000", True),
        ("missing", None),
        ("null == null", True),
    ],
)
def test_means(expression: str, expected: Any) -> None:
    assert result(expression) is expected or result(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "missing < 50",
        "missing > 50",
        "missing == 50",
        "missing != 50",
        "missing in [1]",
        "missing not in [1]",
    ],
)
def test_comparing_with_what_is_not_there_is_false_and_recorded(expression: str) -> None:
    assert evaluate(expression, values()) == Evaluation(False, {"missing": None}, ("missing",))


def test_whether_something_is_there_can_be_asked() -> None:
    assert result("missing == null") is True
    assert result("missing != null or score == null") is False


def test_what_was_read_is_recorded_without_bulk() -> None:
    read = evaluate("score > 1 and 'a' in tags and long != ''", values({**DATA, "long": "x" * 999})).read
    assert read == {"score": 7, "tags": "a list", "long": "x" * 200 + "…"}


@pytest.mark.parametrize(
    ("expression", "says", "column"),
    [
        ("", "empty", 1),
        ("   ", "empty", 1),
        ("score <", "too early", 8),
        ("score 5", "operator", 7),
        ("score = 5", "Write ==", 7),
        ("a && b", "Write and", 3),
        ("!a", "Write not", 1),
        ("1 < 2 < 3", "chained", 7),
        ("f(1)", "Nothing is called 'f'", 1),
        ("user.email.lower()", "Only functions can be called", 1),
        ("length()", "takes 1, not 0", 1),
        ("default(1)", "takes 2, not 1", 1),
        ("length(score)", "takes no number", 1),
        ("date('tomorrow') > now", "is no date", 1),
        ("duration('a day') > days(1)", "such as PT30M", 1),
        ("now + 5 > now", "A date \\+ a number means nothing", 5),
        ("now > score", "A date cannot be compared with a number", 5),
        ("now + days(1e12) > now", "out of range", 7),
        ("now + days(999999) * 3 > now", "out of range", 5),
        ("days(1) / 0 > days(1)", "Division by zero", 9),
        ("2 ** 3", "value is missing", 4),
        ("__class__", "underscore", 1),
        ("user.__class__", "underscore", 6),
        ("data._x", "underscore", 6),
        ("(1", "too early", 3),
        ("1)", "operator", 2),
        ("[1", "too early", 3),
        ("'open", "closing quote", 1),
        ("'\\x41'", "escape", 1),
        ("x[0]", "operator", 2),
        ("lambda: 1", "not understood", 7),
        ("a if b else c", "operator", 3),
        ("x := 1", "not understood", 3),
        ("1abc", "digit", 1),
        ("9" * 20, "Numbers go up", 1),
        ("1e400 > 1", "Numbers go up", 1),
        ("a" + ".a" * 10, "parts", 1),
        ("(" * 40 + "1" + ")" * 40, "nesting", 31),
        ("not " * 40 + "a", "nesting", 121),
        ("1" + "+1" * 101, "At most 100", 202),
        ("x" * 1001, "1000 characters", 1001),
        ("é", "not understood", 1),
        ("role < 5", "Text cannot be compared with a number", 6),
        ("tags < 5", "A list cannot be compared", 6),
        ("true < false", "cannot be compared", 6),
        ("role + 1 == 2", "A number is needed", 1),
        ("score and true", "True or false is needed", 1),
        ("1 / zero == 1", "Division by zero", 3),
        ("1 in score", "A number cannot contain", 3),
        ("1000000 * 1000000 * 1000000 > 1", "larger than", 19),
    ],
)
def test_errors_name_the_column(expression: str, says: str, column: int) -> None:
    with pytest.raises(ExpressionError, match=says) as caught:
        evaluate(expression, values())
    assert caught.value.column == column


NOW = dt.datetime(2026, 3, 29, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("now == date('2026-03-29T14:00:00+02:00')", True),
        ("now > due and due < now", True),
        ("due == date('2026-03-01')", True),
        ("now - date(due) > days(28)", True),
        ("now - duration('P28DT12H') == date(due)", True),
        ("days_since(due) == 28.5 and days_until(due) == -28.5", True),
        ("(now + hours(36)) - now == days(1.5)", True),
        ("days(3) / days(2) == 1.5 and 2 * days(1) == days(2) and -days(1) < minutes(1)", True),
        ("length(role) + length(tags) == 7", True),
        ("contains(tags, 'a') and not contains(role, 'a') and contains(lower(role), 'act')", True),
        ("starts_with(role, 'AC') and ends_with(upper('or'), 'R')", True),
        ("default(missing, 5) == 5 and default(score, 5) == 7", True),
        ("round(2.6) + abs(-1) + min(1, 2) + max(1, 2) == 7", True),
        ("due - days(1) < due and due - date('2026-02-27') == days(2)", True),
        ("due - east == hours(4.5) and east < due", True),
        ("due in [date('2026-03-01')] and contains([date('2026-03-01')], due)", True),
        ("[1] == [true] or [1] in [[true]] or contains([1], true)", False),
        ("length(missing)", None),
        ("days_since(missing) > 3", False),
    ],
)
def test_moments_lengths_and_functions(expression: str, expected: Any) -> None:
    data = {**DATA, "due": "2026-03-01", "east": "2026-03-01T00:30:00+05:00"}
    found = evaluate(expression, values(data), now=NOW)
    assert found.value is expected


def test_moments_are_recorded_as_text() -> None:
    found = evaluate("now > due", values({"due": "2026-03-01"}), now=NOW)
    assert found.read == {"now": "2026-03-29T12:00:00+00:00", "due": "2026-03-01"}


@settings(max_examples=300, deadline=None)
@given(st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999)))
def test_a_written_length_is_read_back_to_the_second(length: dt.timedelta) -> None:
    written = write_duration(length)
    assert abs(parse_duration(written) - length) <= dt.timedelta(seconds=0.5)


@pytest.mark.parametrize(
    ("expression", "says", "column"),
    [
        ("data.orderid == 1", "Did you mean order_id", 1),
        ("data.nothing_like_it == 1", "not among the variables", 1),
        ("total < 'many'", "Number is compared with string", 7),
        ("total and paid", "Boolean is needed here, not number", 1),
        ("paid + 1 > 2", "Boolean \\+ number means nothing", 6),
        ("total", "This must be boolean, not number", 1),
        ("paid < paid", "no larger and smaller boolean", 6),
        ("1 in total", "Number cannot contain", 3),
        ("days_since(total) > 1", "Date or string is needed", 12),
        ("due + total > now", "Date \\+ number means nothing", 5),
        ("due < 'tomorrow'", "'tomorrow' is no date", 7),
        ("days_since('soon') > 1", "'soon' is no date", 12),
        ("due - 'soon' > days(1)", "'soon' is no date", 7),
        ("steps.nobody.result.x == 1", "No step before this one is 'nobody'", 1),
        ("event.x == 1", "There is no event here", 1),
        ("emial == 'x'", "Did you mean email", 1),
    ],
)
def test_what_cannot_be_right_is_known_before_it_runs(expression: str, says: str, column: int) -> None:
    [problem] = check_types(parse(expression), ENVIRONMENT, wanted="boolean")
    assert re.search(says, problem.message)
    assert problem.column == column


@pytest.mark.parametrize(
    "expression",
    [
        "total < 50 and paid or due < now",
        "data.tags.0 == 1 or 'x' in tags",
        "profile_completion < 50",
        "steps.ask.result.value and steps.3.otherwise.0.result.y == 1",
        "length(order_id) > 3 and days_until(due) < 2",
        "user.locale == 'en' and user.attribute == 5",
        "default(total, 0) > 1",
        "due - days(1) < now and now > '2026-01-01'",
        "null == total",
    ],
)
def test_what_may_be_right_passes(expression: str) -> None:
    assert check_types(parse(expression), ENVIRONMENT, wanted="boolean") == []


def test_without_declared_variables_everything_may_be_there() -> None:
    assert check_types(parse("data.anything.at == 1 and steps.x.result.y"), Environment()) == []


def test_a_match_knows_the_event_and_the_data_alone() -> None:
    match = dataclasses.replace(ENVIRONMENT, event=True)
    assert check_types(parse("order == data.order_id and event.total > 5"), match, wanted="boolean") == []
    assert [one.column for one in check_types(parse("user.email == steps.ask.result.x"), match)] == [1, 15]


def test_data_nested_deeper_than_the_stack_is_compared() -> None:
    deep: list[list[Any]] = [[], [], [1]]
    for _ in range(5000):
        deep = [[one] for one in deep]
    data = values({"a": deep[0], "b": deep[1], "c": deep[2]})
    assert evaluate("a == b and a != c and a in [c, b]", data).value is True


def test_a_huge_number_in_the_data_does_not_get_in() -> None:
    with pytest.raises(ExpressionError, match="too large"):
        evaluate("n > 1", values({"n": 10**400}))


WORDS = [
    "and", "or", "not", "in", "true", "null", "score", "user.email", "steps.1.result", "data", "tags", "1", "2.5",
    "'a'", '"', "'", "\\", "(", ")", "[", "]", ",", ".", "<", "==", "!=", "+", "-", "*", "/", "%", "__class__",
    "import", "lambda", "\x00", "\ud800", "é", "\n", "{", "}", ":=", "1e9", "**", "@", "`", "$",
    "now", "+ now -", *(f"{name}(" for name in FUNCTIONS), "'P1D'", "'2026-01-01'",
]  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)))
def test_whatever_is_written_gives_a_plain_value_or_an_error(expression: str) -> None:
    column = 1
    try:
        value = evaluate(expression, values()).value
        assert isinstance(value, bool | int | float | str | list | dict | dt.datetime | dt.timedelta | None)
        check_types(parse(expression), ENVIRONMENT)
    except ExpressionError as error:
        column = error.column
    assert 1 <= column <= len(expression) + 1


LEAVES = st.sampled_from(
    [
        "score",
        "missing",
        "profile_completion",
        "1",
        "2",
        "data.zero",
        "true",
        "null",
        "'a'",
        "now",
        "days(1)",
        "'2026-01-01'",
        "'0001-01-01T00:00:00+23:59'",
        "'9999-12-31T23:59:59-23:59'",
    ]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["<", "==", "and", "or", "+", "-", "*", "/", "in"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        inner.map(lambda one: f"(not {one})"),
        inner.map(lambda one: f"[{one}]"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner, inner).map(
            lambda parts: f"{parts[0]}({', '.join(parts[1 : 1 + len(FUNCTIONS[parts[0]].parameters)])})"
        ),
    ),
    max_leaves=30,
)


@settings(max_examples=500, deadline=None)
@given(TREES)
def test_well_formed_expressions_parse_and_never_break(expression: str) -> None:
    try:
        evaluate(expression, values())
    except ExpressionError:
        return


@settings(max_examples=300, deadline=None)
@given(st.integers(-999, 999), st.integers(-999, 999), st.integers(1, 99))
def test_arithmetic_agrees_with_python(a: int, b: int, c: int) -> None:
    expression = f"({a}) + ({b}) * {c} - ({a}) / {c} % {c}"
    assert evaluate(expression, values()).value == pytest.approx(eval(expression))


@pytest.mark.parametrize(
    "path", [[name] for name in ("__class__", "keys", "get", "items", *string.ascii_lowercase)]
)
def test_names_never_reach_methods(path: list[str]) -> None:
    assert values({}).look_up(path) is None
    assert values({}).look_up(["data", *path]) is None
    assert values().look_up(["plan", *path]) is None


def test_parsing_is_quick_on_the_longest_input() -> None:
    parse("1" + "+1" * 100)


def test_the_page_lists_the_functions() -> None:
    page = (Path(__file__).parents[2] / "docs/expressions.md").read_text()
    rows = [
        f"| `{one.signature}` | {one.returns} | {one.description} |".replace(
            "string|list|object", "string or list"
        )
        for one in FUNCTIONS.values()
    ]
    assert [line for line in page.splitlines() if line.startswith("| `") and "(" in line] == [
        row.replace("string|list", "string or list") for row in rows
    ]
