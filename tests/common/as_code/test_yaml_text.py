"""YAML that people write, and YAML that we write: the same plain values, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from castcomm.common.as_code.yaml_text import YamlInvalid, read_yaml, write_yaml

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
TRICKY = st.sampled_from(
    ["no", "on", "~", "null", "1e3", "08", "0o7", "10:30", "2026-12-01", "1_000", ".5", "=", "<<", "- a", "a: b",
     " a\nb", "a \nb\n\n", "\n", "a\r\nb", "{{ x }}", "#", "'", '"', "\u2028", "\ufeff", "\x85", "%", "@", "`"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | TEXTS | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | TRICKY, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_as_the_same(value: Any) -> None:
    text = write_yaml(value)
    read = read_yaml(text).value
    assert repr(read) == repr(value)
    assert write_yaml(read) == text
    # What other programs read (YAML 1.1) is the same too.
    assert yaml.safe_load(text) == value


@given(st.text(max_size=200) | st.text("-:[]{}&*!|>'\"#%@, \n\tab01~?", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        again = write_yaml(read_yaml(text).value)
    except YamlInvalid:
        return
    assert write_yaml(read_yaml(again).value) == again


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: &x 1\nb: *x\n", 1, "Anchors"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "Tags"),
        ("a: 1\nb: 2\na: 3\n", 3, "twice"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: [1, 2\n", 2, "not YAML"),
        ('a: "\\0"\n', 1, "cannot be stored"),
        ("[" * 100 + "]" * 100, 1, "levels"),
        ("a: 1e999\n", 1, "too large"),
        ("? [a]\n: 1\n", 1, "plain text"),
    ],
)
def test_refusals_name_the_line(text: str, line: int, words: str) -> None:
    with pytest.raises(YamlInvalid, match=words) as caught:
        read_yaml(text)
    assert caught.value.line == line


def test_words_are_words_and_parts_have_lines() -> None:
    written = read_yaml("no: yes\nat: 10:30\nwhen: 2026-12-01\nlist:\n  - a\n  - b: 1\n")
    assert written.value == {"no": "yes", "at": "10:30", "when": "2026-12-01", "list": ["a", {"b": 1}]}
    assert written.line_of(("list", 1, "b")) == 6
    assert written.line_of(("list", 1, "c", "d")) == 6
    assert written.line_of(("missing",)) == 1
