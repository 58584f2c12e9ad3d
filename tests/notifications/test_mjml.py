"""MJML with Jinja2 in it becomes HTML with Jinja2 in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from notifications.rendering.mjml import compile_mjml, text_from_html
from notifications.rendering.mjml_check import check_mjml
from notifications.rendering.sandbox import RenderingError, render


def section(inside: str) -> str:
    return f"<mj-section><mj-column>{inside}</mj-column></mj-section>"


def html(body: str, context: dict[str, Any] | None = None, **options: str) -> str:
    return render(compile_mjml(body, **options), context or {}, html=True)


def test_expressions_are_filled_in_and_escaped() -> None:
    made = html(section("<mj-text>Hello {{ name }}</mj-text>"), {"name": "<Ada>"})
    assert "Hello &lt;Ada&gt;" in made
    assert "ccjinja" not in made


def test_statements_between_elements_stay_where_they_are() -> None:
    body = section(
        "{% if items %}{% for item in items %}<mj-text>{{ item.name }}: {{ item.count }}</mj-text>{% endfor %}"
        "{% else %}<mj-text>Nothing</mj-text>{% endif %}"
    )
    compiled = compile_mjml(body)
    full = render(compiled, {"items": [{"name": "a", "count": 1}, {"name": "b", "count": 2}]}, html=True)
    assert "a: 1" in full
    assert full.index("a: 1") < full.index("b: 2")
    assert "Nothing" not in full
    empty = render(compiled, {"items": []}, html=True)
    assert "Nothing" in empty


def test_a_comparison_in_an_expression_is_no_tag() -> None:
    made = html(section("<mj-text>{% if a < 2 and b > 1 %}small{% endif %}</mj-text>"), {"a": 1, "b": 2})
    assert "small" in made


@pytest.mark.parametrize(
    ("href", "context", "expected"),
    [
        ("{{ url }}", {"url": "https://example.com/a"}, 'href="https://example.com/a"'),
        ("{{ url }}", {"url": "javascript:alert(1)"}, 'href="#"'),
        ("https://example.com/{{ id }}", {"id": "42"}, 'href="https://example.com/42"'),
        ("https://example.com/?t={{ t }}&amp;u={{ u }}", {"t": "a", "u": "b"}, "https://example.com/?t=a&amp;u=b"),
        ("{{ base }}/verify/{{ t }}", {"base": "https://example.com", "t": "x"}, 'href="https://example.com/verify/x"'),
        ("{% if a %}{{ url }}{% endif %}", {"a": 1, "url": "javascript:alert(1)"}, 'href="#"'),
        ("{{ a }}{{ url }}", {"a": "", "url": "javascript:alert(1)"}, 'href="#javascript'),
        ("https://example.com/{{ x }}", {"x": '" onclick="alert(1)'}, "https://example.com/&#34; onclick=&#34;"),
    ],
)  # fmt: skip
def test_addresses_are_made_safe_where_they_begin(href: str, context: dict[str, Any], expected: str) -> None:
    made = html(section(f'<mj-button href="{href}">Go</mj-button>'), context)
    assert expected in made


@pytest.mark.parametrize(
    "body",
    [
        "<mj-raw><script>alert(1)</script></mj-raw>",
        '<mj-include path="/etc/passwd" />',
        section("<mj-text><script>x</script></mj-text>"),
        section('<mj-text><img src="x" onerror="alert(1)"></mj-text>'),
        section('<mj-text><iframe src="https://example.com"></iframe></mj-text>'),
        section('<mj-button href="javascript:alert(1)">x</mj-button>'),
        section('<mj-text><a href="data:text/html,x">x</a></mj-text>'),
        "<mj-section><mj-column>",
    ],
)
def test_what_has_no_place_in_a_mail_is_refused(body: str) -> None:
    with pytest.raises(RenderingError):
        compile_mjml(body)


def test_a_layout_stands_around_the_content() -> None:
    layout = (
        section("<mj-text>Head</mj-text>") + "{{ content }}" + section("<mj-text>Foot {{ name }}</mj-text>")
    )
    made = html(section("<mj-text>Middle</mj-text>"), {"name": "x"}, layout=layout)
    assert made.index("Head") < made.index("Middle") < made.index("Foot x")


def test_styles_are_inlined() -> None:
    assert "style=" in html(section("<mj-text>x</mj-text>"))


def test_the_text_part_reads_like_the_mail() -> None:
    compiled = compile_mjml(
        section(
            "<mj-text><h1>Title</h1><p>Hello {{ name }},</p><ul><li>one</li><li>two</li></ul></mj-text>"
            '<mj-button href="https://example.com/{{ id }}">Go there</mj-button>'
        ),
        title="not to be seen",
    )
    text = render(text_from_html(compiled), {"name": "Ada", "id": 7}, html=False)
    assert "Hello Ada," in text
    assert "- one" in text
    assert "Go there (https://example.com/7)" in text
    assert "not to be seen" not in text
    assert "<" not in text


MANY = 200_000
HOSTILE = {
    "open brackets": "< " * (MANY // 2),
    "open expressions": "{{" * (MANY // 2),
    "open statements": "{%" * (MANY // 2),
    "open comments": "<!--" * (MANY // 4),
    "open tags": "<a " * (MANY // 3),
    "open quotes": '<a b="' * (MANY // 6),
    "spaces before an address": "<a href=" + " " * MANY,
    "addresses": '<a href="{{x}}" ' * (MANY // 16),
    "event attributes outside of tags": " onx" * (MANY // 4),
}


@pytest.mark.parametrize("inside", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("job", [check_mjml, compile_mjml, text_from_html])
def test_what_nobody_closes_takes_no_time(inside: str, job: Callable[[str], object]) -> None:
    started = time.thread_time()
    with contextlib.suppress(RenderingError):
        job(section(f"<mj-text>{inside}"))
    assert time.thread_time() - started < 3


@pytest.mark.parametrize("tag", ["mj-section", "mj-wrapper", "b", "b><br/"])
def test_what_is_nested_too_deep_is_refused_before_it_is_compiled(tag: str) -> None:
    with pytest.raises(RenderingError, match="200 deep"):
        compile_mjml(f"<{tag}>" * 20_000)


def test_an_expression_has_an_end() -> None:
    with pytest.raises(RenderingError, match="Line 2: an expression may have at most"):
        compile_mjml(section("\n<mj-text>{{ " + "a" * 20_000 + " }}</mj-text>"))


@pytest.mark.parametrize("word", ["ccjinja9x", "ccjinja0x"])
def test_no_text_is_taken_for_one_of_ours(word: str) -> None:
    compiled = compile_mjml(section(f"<mj-text>{word} {{{{ name }}}}</mj-text>"))
    assert f"{word} {{{{ name }}}}" in compiled
    assert f"{word} {{{{ name }}}}" in text_from_html(compiled)


def test_an_event_attribute_behind_half_a_comment_is_seen() -> None:
    with pytest.raises(RenderingError, match="event attributes"):
        compile_mjml(section('<mj-text><a title="<!--" onclick="x" id="-->">x</a></mj-text>'))


def test_a_subject_may_have_statements_and_comparisons() -> None:
    subject = "{% if n < 2 %}One & only{% else %}{{ n }} of them{% endif %}"
    compiled = compile_mjml(section("<mj-text>Hello</mj-text>"), title=subject)
    assert "<title>3 of them</title>" in render(compiled, {"n": 3}, html=True)
    assert "<title>One &amp; only</title>" in render(compiled, {"n": 1}, html=True)


def test_a_mail_says_in_which_language_it_is() -> None:
    compiled = compile_mjml(section("<mj-text>Hallo</mj-text>"), locale="de_AT")
    assert '<html lang="de-AT"' in compiled
    assert 'role="article" lang="de-AT"' in compiled
