"""The page behind a mail's link to unsubscribe, and behind its ``List-Unsubscribe`` header (RFC 8058)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from notifications.public.answers import not_found, page, too_many, within_rate
from notifications.services.consents import facts_of
from notifications.services.mail_links import EXAMPLE_TOKEN, preferences_address, read_token
from notifications.services.unsubscribing import (
    How,
    Scope,
    Subscription,
    subscription_of,
    undo_unsubscribe,
    unsubscribe,
    what_is_stopped,
)

PER_MINUTE = 30  # calls per link
_ACTIONS = (*(scope.value for scope in Scope), "undo")


# The token is what proves that the caller has the mail. RFC 8058 calls without cookies, so there can be no CSRF token,
# and there is nothing that another site could borrow.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows how things stand and changes nothing: scanners follow links. POST does what it says, and shows it.

    ``List-Unsubscribe=One-Click`` stops the category; ``action`` is a button of the page: ``category``, ``all`` or
    ``undo``. Anything else is answered 400.
    """
    if token == EXAMPLE_TOKEN:
        return page(request, "public/unsubscribe_example.html", preferences_url=preferences_address())
    link = read_token(token)
    if link is None:
        return not_found(request)
    if not within_rate("unsubscribe", token, limit=PER_MINUTE):
        return too_many(request)
    subscription = subscription_of(link)
    if subscription is None:
        return not_found(request)
    if request.method != "POST":
        return _shown(request, subscription)
    if request.POST.get("List-Unsubscribe", "").strip().lower() == "one-click":
        unsubscribe(
            subscription=subscription, scope=subscription.scope, how=How.ONE_CLICK, facts=facts_of(request)
        )
        return _shown(request, subscription, done=subscription.scope.value)
    action = request.POST.get("action", "")
    if action not in _ACTIONS:
        return _shown(request, subscription, status=400)
    if action == "undo":
        undone = undo_unsubscribe(subscription=subscription, facts=facts_of(request))
        return _shown(request, subscription, done="undone" if undone else "")
    unsubscribe(subscription=subscription, scope=Scope(action), how=How.PAGE, facts=facts_of(request))
    return _shown(request, subscription, done=action)


def _shown(
    request: HttpRequest, subscription: Subscription, *, done: str = "", status: int = 200
) -> HttpResponse:
    return page(
        request,
        "public/unsubscribe.html",
        status=status,
        subscription=subscription,
        stopped=what_is_stopped(subscription),
        done=done,
        is_wrong=status != 200,
        preferences_url=preferences_address(subscription.link),
    )
