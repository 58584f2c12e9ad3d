"""What a digest says of a notification: the text that it would have in the inbox, or what its mail is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from notifications.rendering.content import ContentFacts, InAppText, render_in_app


def text_for(content: ContentFacts, context: Mapping[str, Any]) -> InAppText:
    """The text of the inbox; where there is none, the subject of the mail and the text of the push.

    Raises RenderingError.
    """
    if not content.in_app_title and not content.in_app_body:
        content = replace(
            content, in_app_title=content.subject or content.push_title, in_app_body=content.push_body
        )
    return render_in_app(content, context)
