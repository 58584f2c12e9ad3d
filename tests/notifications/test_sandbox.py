"""A template can fill in text; it can neither reach anything nor cost much."""

from __future__ import annotations

import time
from typing import Any

import pytest

from notifications.rendering.sandbox import (
    RenderingError,
    compile_template,
    plain,
    render,
    safe_url,
    variables_of,
)

DOUBLING = "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x OP x %}" * 60 + "{{ x }}"
ESCAPES = {
    "dunder": "{{ ''.__class__.__mro__ }}",
    "dunder by subscript": "{{ x['__class__'] }}",
    "dunder of a method": "{{ x.items.__globals__ }}",
    "a filter that reads attributes": "{{ x | attr('__class__') }}",
    "map with an attribute": "{{ [x] | map(attribute='__class__') | list }}",
    "globals": "{{ cycler.__init__.__globals__ }}",
    "namespace": "{{ namespace() }}",
    "the template itself": "{{ self.__init__ }}",
    "formatting an attribute": "{{ '{0.__class__}'.format(x) }}",
    "changing the data": "{{ x.update({'a': 1}) }}",
    "clearing a list": "{{ [1].clear() }}",
    "include": "{% include 'secrets' %}",
    "import": "{% import 'os' as os %}",
    "from": "{% from 'os' import system %}",
    "extends": "{% extends 'base' %}",
    "macro": "{% macro m() %}{{ m() }}{% endmacro %}",
    "block": "{% block a %}{{ self.a() }}{% endblock %}",
    "recursive loop": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "call": "{% call x() %}{% endcall %}",
    "set with a body": "{% set x %}{{ x }}{{ x }}{% endset %}",
    "filter with a body": "{% filter upper %}a{% endfilter %}",
}
SHARING = "{% set a = ['x'] %}{% set b = ['x'] %}" + "{% set a = [a, a] %}{% set b = [b, b] %}" * 40
BOMBS = {
    "a list in itself, written": SHARING + "{{ a }}",
    "a list in itself, as a text": SHARING + "{{ a | string }}",
    "a list in itself, as JSON": SHARING + "{{ a | tojson }}",
    "a list in itself, compared": SHARING + "{{ a == b }}",
    "a tuple in itself": "{% set a = ('x',) %}" + "{% set a = (a, a) %}" * 40 + "{{ a }}",
    "an object in itself": "{% set a = {} %}" + "{% set a = {'a': a, 'b': a} %}" * 40 + "{{ a }}",
    "views of an object": "{% set a = {} %}" + "{% set a = {'a': [a.items(), a.items()]} %}" * 40 + "{{ a }}",
    "a list in itself by loops": "{% for a in [[1, 2, 3]] %}"
    + "{% for b in [["
    + "a, " * 9000
    + "]] %}{{ ["
    + "b, " * 9000
    + "] }}{% endfor %}{% endfor %}",
    "long lists of a long list": "{% set a = ["
    + "x.a, " * 9000
    + "] %}{% set a = [a] %}"
    + "{% set a = a + a %}" * 13
    + "{{ a }}",
    "grouping by the group": "{% set a = [('x', ['y'])] %}" + "{% set a = a | groupby(1) %}" * 60 + "{{ a }}",
    "lists of long texts": "{% set a = range(1000) | join('"
    + "a" * 900
    + "') %}{{ ["
    + "a, " * 5000
    + "] }}",
    "JSON of JSON": "{% set a = '\"' %}" + "{% set a = a | tojson %}" * 60 + "{{ a }}",
    "escaping again": "{% set a = range(1000) | join('"
    + "&" * 900
    + "') %}"
    + "{% set a = a | forceescape %}" * 50
    + "{{ a }}",
    "powers": "{{ 9 ** 9 ** 9 }}",
    "products": "{{ 10 ** 9 * 10 ** 9 }}",
    "text times": "{{ 'a' * 1000000000 }}",
    "list times": "{{ [1] * 1000000000 }}",
    "percent": "{{ '%999999999d' % 1 }}",
    "widths": "{{ '{:>999999999}'.format(1) }}",
    "ljust": "{{ 'a'.ljust(1000000000) }}",
    "zfill": "{{ 'a'.zfill(1000000000) }}",
    "bytes": "{{ (5).to_bytes(1000000000, 'big') }}",
    "a long range": "{{ range(1000000000) | list }}",
    "nested loops": "{% for a in range(1000) %}" * 3 + "{% endfor %}" * 3,
    "loops too deep": "{% for a in range(2) %}" * 4 + "{% endfor %}" * 4,
    "doubling with ~": DOUBLING.replace("OP", "~"),
    "doubling with +": DOUBLING.replace("OP", "+"),
    "doubling lists": "{% set x = [1] %}" + "{% set x = x + x %}" * 60 + "{{ x }}",
    "growing by replace": "{{ 'a'" + "| replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 12 + " }}",
    "growing by join": "{{ range(1000) | list | join('" + "a" * 5000 + "') }}",
    "indented json": "{{ x | tojson(indent=100000000) }}",
    "slices": "{{ [1] | slice(1000000000) | list }}",
    "batches": "{{ [1] | batch(1000000000, 'x') | list }}",
    "wide text": "{{ 'a' | center(1000000000) }}",
    "round": "{{ 1 | round(100000000, 'ceil') }}",
    "slow filters": "{% for i in x.long %}{{ x.long | sort | length }}{% endfor %}",
}
BROKEN = {
    "a number of many digits": "{{ " + "9" * 5000 + " }}",
    "many brackets": "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
    "many levels": "{% if 1 %}" * 150 + "{% endif %}" * 150,
    "unknown filter": "{{ x | shout }}",
    "unclosed": "{{ x",
    "too long": "a" * 200_001,
}


@pytest.mark.parametrize(
    "source", [*ESCAPES.values(), *BOMBS.values(), *BROKEN.values()], ids=[*ESCAPES, *BOMBS, *BROKEN]
)
@pytest.mark.parametrize("html", [False, True], ids=["text", "html"])
def test_it_ends_in_an_error_and_soon(source: str, html: bool) -> None:
    context: dict[str, Any] = {"x": {"a": 1, "long": list(range(3000))}}
    started = time.thread_time()
    with pytest.raises(RenderingError):
        render(source, context, html=html)
    # Without its bounds any of these would run for minutes, or until the memory is full.
    assert time.thread_time() - started < 20


def test_output_is_cut_off_before_it_is_put_together() -> None:
    source = "{% for a in range(1000) %}{{ x }}{% endfor %}"
    with pytest.raises(RenderingError, match="longer than"):
        render(source, {"x": "a" * 100_000}, html=False)


USEFUL = [
    ("{% for i in range(3) %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}", "1/3,2/3,3/3"),
    ("{% for k, v in order.items() %}{{ k }}={{ v }};{% endfor %}", "lines=[1, 2];total=3;"),
    ("{% for one in [] %}x{% else %}none{% endfor %}", "none"),
    ("{% for one in order.lines if one > 1 %}{{ one }}{% endfor %}", "2"),
    ("{{ name | upper }} {{ name.lower() }} {{ 'a' ~ 1 ~ name }}", "ADA ada a1Ada"),
    ("{{ 2 * 3 + 4 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 3 }} {{ 'a' + 'b' }}", "10 3 3 8 ab"),
    ("{{ ['a', 'b'] | join(', ') }} {{ 'aXb' | replace('X', '-') }} {{ 2.345 | round(2) }}", "a, b a-b 2.35"),
    ("{{ missing | default('-') }} {{ '2026-05-04T01:02:03Z' | date('%d.%m.%Y') }}", "- 04.05.2026"),
    ("{{ 'not a date' | date }} {{ order | tojson }}", 'not a date {"lines": [1, 2], "total": 3}'),
    ("{% set total = order.total %}{% if total > 2 and name is string %}yes{% endif %}", "yes"),
    ("{{ box.items }} {{ box['items'] }}", "mine mine"),
    ("{% set a, b = 1, name %}{{ [a, b] }}{% set c = {'k': [a], name: b} %}{{ c['k'] }}{{ c.Ada }}",
     "[1, 'Ada'][1]Ada"),
    ("{% for k, v in [(name, 1), ('b', 2)] %}{{ k }}{{ v }}{% endfor %}{{ name in [name, 'x'] }}", "Ada1b2True"),
    ("{% for k, group in order.lines | groupby(0, default=name) %}{{ k }}{% endfor %}{{ (1, name) | string }}",
     "Ada(1, 'Ada')"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "text"), USEFUL)
def test_what_staff_need_works(source: str, text: str) -> None:
    context = {"order": {"lines": [1, 2], "total": 3}, "name": "Ada", "box": {"items": "mine"}}
    assert render(source, context, html=False) == text


def test_data_is_escaped_in_html_and_only_there() -> None:
    context = {"x": "<b>\"'&"}
    assert (
        render("{{ x }}{{ 'a' ~ x }}", context, html=True)
        == "&lt;b&gt;&#34;&#39;&amp;a&lt;b&gt;&#34;&#39;&amp;"
    )
    assert render("{{ x }}", context, html=False) == context["x"]


@pytest.mark.parametrize(
    ("source", "line", "variable"),
    [
        ("a\nb\n{{ missing }}", 3, "missing"),
        ("{{ user.nickname }}", 1, "nickname"),
        ("\n{{ user.address.street }}", 2, "address"),
        ("{% for a in [1] %}\n{{ a.b.c }}{% endfor %}", 2, "b"),
    ],
)
def test_a_missing_value_is_named_with_its_line(source: str, line: int, variable: str) -> None:
    with pytest.raises(RenderingError) as caught:
        render(source, {"user": {"name": "x"}}, html=False)
    assert (caught.value.line, caught.value.variable) == (line, variable)
    assert f"Line {line}" in str(caught.value)
    assert variable in str(caught.value)


def test_broken_syntax_is_told_with_its_line() -> None:
    with pytest.raises(RenderingError) as caught:
        compile_template("a\n{% if %}", html=False)
    assert caught.value.line == 2


@pytest.mark.parametrize("source", [r"{{ '\x00' }}", r"{{ '\ud800' }}"])
def test_text_that_cannot_be_stored_is_refused(source: str) -> None:
    with pytest.raises(RenderingError):
        render(source, {}, html=False)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("https://example.com/?a=b#c", "https://example.com/?a=b#c"),
        ("http://example.com", "http://example.com"),
        ("mailto:someone@example.com", "mailto:someone@example.com"),
        ("/path", "/path"),
        ("  /path ", "/path"),
        ("?a=b", "?a=b"),
        ("#part", "#part"),
        ("javascript:alert(1)", "#"),
        ("JaVaScRiPt:alert(1)", "#"),
        ("java\nscript:alert(1)", "#"),
        ("\x01javascript:alert(1)", "#"),
        ("data:text/html,x", "#"),
        ("//elsewhere.example", "#"),
        ("http://[", "#"),
        ("plain", "#"),
        ("", "#"),
    ],
)
def test_only_links_that_may_stand_in_a_message_stay(given: str, made: str) -> None:
    assert safe_url(given) == made


def test_only_plain_values_reach_a_template() -> None:
    assert plain({"a": (1, {"b": None})}) == {"a": [1, {"b": None}]}
    with pytest.raises(TypeError, match=r"data\.a\.0 is a object"):
        plain({"a": [object()]})


def test_the_names_that_a_template_takes() -> None:
    assert variables_of("{% set a = 1 %}{{ a }}{{ b.c }}{% for d in e %}{{ d }}{% endfor %}") == {"b", "e"}
