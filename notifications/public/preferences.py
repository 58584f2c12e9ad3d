"""The preference centre behind the link in a mail: for who is not signed in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from notifications.api.preference_token import member_of
from notifications.public.answers import not_found, page, too_many, within_rate
from notifications.services import preference_links
from notifications.services.mail_links import preferences_address

PER_MINUTE = 60  # pages per link


@require_safe
def preference_page(request: HttpRequest, token: str) -> HttpResponse:
    """The page, which changes nothing by being opened: scanners follow links. What it does, it does over the API.

    404 for a token that nobody here made; 410 for one that is too old, and for a person who left.
    """
    if token == preference_links.EXAMPLE_TOKEN:
        return page(request, "public/preferences_example.html", preferences_url=preferences_address())
    link = preference_links.open_link(token)
    if link is None:
        return not_found(request)
    if not within_rate("preferences", token, limit=PER_MINUTE):
        return too_many(request)
    membership = member_of(link)
    if membership is None or preference_links.is_too_old(link):
        return page(
            request, "public/preferences_gone.html", status=410, preferences_url=preferences_address()
        )
    return page(
        request,
        "public/preferences.html",
        token=token,
        organization=membership.organization,
        email=masked(membership.user.email),
    )


def masked(email: str) -> str:
    """Enough of an address to know one's own: ``a•••@example.com``. Mails are passed on, and their links."""
    local, _, domain = email.partition("@")
    return f"{local[:1]}•••@{domain}"
