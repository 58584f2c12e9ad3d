"""What pages of the admin share: a question before something is done, where it leads, and pages beside Django's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.dataclasses import ActionDialog
from unfold.forms import BaseDialogForm


def ask(title: str, description: str, answer: str) -> ActionDialog:
    """The dialog of an action that only has to be confirmed; ``answer`` is what the button says."""
    return ActionDialog(
        title=title, description=description, form_class=BaseDialogForm, form_submit_text=answer
    )


def go_on(request: HttpRequest, address: str) -> HttpResponse:
    """Show this page after an action: htmx, which has loaded the dialog, follows a header to a whole page."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": address})
    return redirect(address)


def page_of(owner: ModelAdmin[Any], route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
    """A page for staff beside those of Django: ``view(owner, request, …)`` as ``admin:<app>_<model>_<name>``."""

    def shown(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return view(owner, request, **kwargs)

    wrapped = owner.admin_site.admin_view(shown)
    pattern: URLPattern = path(route, wrapped, name=f"{owner.opts.app_label}_{owner.opts.model_name}_{name}")
    return pattern
