"""Parts of a mail that code writes, and not a template: longer than what a template may make.

The template sees a word in their place, which says nothing and which nobody can guess; the part is put there once the
template is filled in, as HTML or as text.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FRAGMENTS = "_fragments"  # their name in the context


@dataclass(frozen=True, slots=True)
class Fragment:
    """HTML that is escaped already, and the same as text."""

    html: str
    text: str


def new_marker() -> str:
    """The word for a fragment in the context of a template."""
    return f"cc{secrets.token_hex(12)}f"


def filled(text: str, context: Mapping[str, Any], *, html: bool) -> str:
    """``text`` with the fragments of the context in the places of their words."""
    for marker, fragment in context.get(FRAGMENTS, {}).items():
        text = text.replace(marker, fragment.html if html else fragment.text)
    return text
