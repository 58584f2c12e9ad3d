"""What MJML leaves out without a word, or refuses without a line, found before it is compiled."""

from __future__ import annotations

from html.parser import HTMLParser

from notifications.rendering.sandbox import RenderingError
from notifications.rendering.spans import replace_jinja, tag_spans

# Elements that may stand directly in <mj-body>, and all that MJML 4 knows in it.
_OUTER = frozenset({"mj-section", "mj-wrapper", "mj-hero"})
_KNOWN = _OUTER | {
    "mj-accordion", "mj-accordion-element", "mj-accordion-text", "mj-accordion-title", "mj-button",
    "mj-carousel", "mj-carousel-image", "mj-column", "mj-divider", "mj-group", "mj-image", "mj-navbar",
    "mj-navbar-link", "mj-social", "mj-social-element", "mj-spacer", "mj-table", "mj-text",
}  # fmt: skip
_NEVER = frozenset({"script", "iframe", "object", "embed", "form"})


def check_mjml(body: str) -> None:
    """Raise RenderingError, with the line in ``body``, for what would vanish from the mail or break it.

    That is an unknown ``mj-`` element, one that is not closed or closed twice, and text outside of any.
    """
    checker = _Checker()
    source = replace_jinja(body, _placeholder, comments=True)
    for at, end in tag_spans(source):
        if end == -1 and (source[at + 1 : at + 2].isalpha() or source.startswith("</", at)):
            line = source.count("\n", 0, at) + 1
            raise RenderingError(f"Line {line}: a tag begins here and is not closed.", line=line)
    checker.feed(source)
    checker.close()
    checker.finish()


def _placeholder(part: str) -> str:
    # Lines must go on counting right; a value in an attribute is still a value.
    lines = "\n" * part.count("\n")
    return lines if part.startswith(("{%", "{#", "<!--")) else "x" + lines


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[tuple[str, int]] = []

    def _refuse(self, message: str, line: int | None = None) -> None:
        line = line or self.getpos()[0]
        raise RenderingError(f"Line {line}: {message}", line=line)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag.startswith("mj-"):
            self._open.append((tag, self.getpos()[0]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _NEVER or any(name.startswith("on") for name, _ in attrs):
            self._refuse("scripts, frames, forms and event attributes are not allowed in e-mails.")
        if tag.startswith("mj-") and tag not in _KNOWN:
            self._refuse(f"There is no <{tag}> in MJML, or not here.")
        if not self._open and tag not in _OUTER:
            self._refuse(f"<{tag}> must stand inside <mj-section>.")

    def handle_endtag(self, tag: str) -> None:
        if not tag.startswith("mj-"):
            return
        if not self._open:
            self._refuse(f"</{tag}> closes nothing.")
        opened, line = self._open.pop()
        if opened != tag:
            self._refuse(f"</{tag}> comes before <{opened}> of line {line} is closed.")

    def handle_data(self, data: str) -> None:
        if not self._open and data.strip():
            line = self.getpos()[0] + data[: len(data) - len(data.lstrip())].count("\n")
            self._refuse("text must stand in <mj-text>, inside a section and a column.", line)

    def finish(self) -> None:
        if self._open:
            opened, line = self._open[-1]
            self._refuse(f"<{opened}> is not closed.", line)
