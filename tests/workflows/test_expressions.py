"""The language of conditions: what it says, and that nothing gets out of it."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castcomm.common.ids import new_id
from workflows.engine.ports import Person
from workflows.engine.values import ExecutionValues
from workflows.expressions import Evaluation, ExpressionError, evaluate, parse

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
        ("f(1)", "called", 2),
        ("user.email.lower()", "called", 17),
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


def test_a_huge_number_in_the_data_does_not_get_in() -> None:
    with pytest.raises(ExpressionError, match="too large"):
        evaluate("n > 1", values({"n": 10**400}))


WORDS = [
    "and", "or", "not", "in", "true", "null", "score", "user.email", "steps.1.result", "data", "tags", "1", "2.5",
    "'a'", '"', "'", "\\", "(", ")", "[", "]", ",", ".", "<", "==", "!=", "+", "-", "*", "/", "%", "__class__",
    "import", "lambda", "\x00", "\ud800", "é", "\n", "{", "}", ":=", "1e9", "**", "@", "`", "$",
]  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)))
def test_whatever_is_written_gives_a_plain_value_or_an_error(expression: str) -> None:
    column = 1
    try:
        value = evaluate(expression, values()).value
        assert isinstance(value, bool | int | float | str | list | dict | None)
    except ExpressionError as error:
        column = error.column
    assert 1 <= column <= len(expression) + 1


LEAVES = st.sampled_from(
    ["score", "missing", "profile_completion", "1", "2", "data.zero", "true", "null", "'a'"]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["<", "==", "and", "or", "+", "-", "*", "/", "in"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        inner.map(lambda one: f"(not {one})"),
        inner.map(lambda one: f"[{one}]"),
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
