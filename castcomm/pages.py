"""The pages people see. They carry the components and who is looking; the data comes over the API."""

from __future__ import annotations

import functools
import uuid
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Membership, User
from accounts.selectors import find_membership, memberships_of

ORGANIZATION_KEY = "castcomm_organization"


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """To the inbox, or to the sign-in page."""
    return redirect("inbox" if request.user.is_authenticated else settings.LOGIN_URL)


@require_safe
@ensure_csrf_cookie
@login_required
def inbox(request: HttpRequest) -> HttpResponse:
    """The person's notifications."""
    return _page(request, "pages/inbox.html")


@require_safe
@ensure_csrf_cookie
@login_required
def chat(request: HttpRequest, thread_id: uuid.UUID | None = None) -> HttpResponse:
    """The person's conversations, one of them open. Whether it is theirs, the API says."""
    return _page(request, "pages/chat.html", thread=str(thread_id or ""))


@require_safe
@ensure_csrf_cookie
@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    """What the person wants to hear, where and when."""
    return _page(request, "pages/preferences.html")


@require_safe
@ensure_csrf_cookie
@login_required
def devices(request: HttpRequest) -> HttpResponse:
    """The browsers and apps that push reaches."""
    return _page(request, "pages/devices.html")


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """The worker that shows pushes. A worker's scope is the folder of its address, so it lies at the root.

    It loads nothing and talks to this origin alone.
    """
    response = HttpResponse(_worker(), content_type="text/javascript; charset=utf-8")
    response["Service-Worker-Allowed"] = "/"
    response["Cache-Control"] = "no-cache"
    response["Content-Security-Policy"] = "default-src 'none'; connect-src 'self'"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@functools.cache
def _worker() -> bytes:
    return (settings.BASE_DIR / "static/castcomm/service-worker.js").read_bytes()


@require_POST
@login_required
def choose_organization(request: HttpRequest) -> HttpResponseRedirect:
    """Go on in another of the person's organizations; an unknown one changes nothing."""
    membership = find_membership(cast(User, request.user), request.POST.get("organization", ""))
    if membership is not None:
        request.session[ORGANIZATION_KEY] = str(membership.organization_id)
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = reverse("inbox")
    return HttpResponseRedirect(target)


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    """A page in the organization that the person chose last, else their oldest."""
    memberships = list(memberships_of(cast(User, request.user)))
    if not memberships:
        return render(request, "pages/no_organization.html", status=403)
    context.update(
        membership=_current(memberships, request.session.get(ORGANIZATION_KEY)),
        memberships=memberships,
        csrf_cookie=settings.CSRF_COOKIE_NAME,
    )
    response = render(request, template, context)
    # Whose page it is must not be kept by anything between here and the browser.
    response["Cache-Control"] = "private, no-store"
    return response


def _current(memberships: list[Membership], chosen: str | None) -> Membership:
    return next((one for one in memberships if str(one.organization_id) == chosen), memberships[0])
