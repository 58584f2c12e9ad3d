"""The page before publishing: what would change, the choice for the runs under way, and the way back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminRadioSelectWidget

from castcomm.common.errors import CastCommError
from workflows.definition.comparing import text_diff
from workflows.models import Workflow
from workflows.services.impact import impact_of
from workflows.services.moving import Moved, Running, Unmapped
from workflows.services.publishing import Publication, publish_and_move, roll_back


class ChoiceForm(forms.Form):
    """What becomes of the executions under way; with ``version`` that one is published again, else the draft is."""

    running = forms.ChoiceField(
        label="Executions under way",
        choices=Running.choices,
        initial=Running.PIN,
        widget=UnfoldAdminRadioSelectWidget,
    )
    unmapped = forms.ChoiceField(
        label="Those whose step the new version does not have, if the others go on in it",
        choices=Unmapped.choices,
        initial=Unmapped.STAY,
        widget=UnfoldAdminRadioSelectWidget,
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)


def publishing_page(owner: Any, request: HttpRequest, object_id: Any) -> HttpResponse:
    """Show what publishing the draft, or going back to ``?version=``, would change; do it on POST."""
    found: Workflow | None = owner.get_object(request, str(object_id))
    if found is None or not owner.has_change_permission(request, found):
        raise Http404
    given = request.POST if request.method == "POST" else None
    form = ChoiceForm(given, initial={"version": request.GET.get("version") or None})
    if form.is_bound and form.is_valid():
        answer = _publish(owner, request, found, form.cleaned_data)
        if answer is not None:
            return answer
    return TemplateResponse(
        request, "admin/workflows/workflow/publish.html", _context(owner, request, found, form)
    )


def _publish(
    owner: Any, request: HttpRequest, found: Workflow, chosen: dict[str, Any]
) -> HttpResponse | None:
    choice: dict[str, Any] = {
        "workflow": found,
        "published_by": request.user,
        "running": Running(chosen["running"]),
        "unmapped": Unmapped(chosen["unmapped"]),
    }
    try:
        number = chosen["version"]
        done = roll_back(number=number, **choice) if number else publish_and_move(**choice)
    except CastCommError as error:
        messages.error(request, f"{error.attr}: {error.message}" if error.attr else error.message)
        return None
    owner.log_change(request, found, f"Published {done.version}.")
    messages.success(request, _said(found, done))
    return redirect("admin:workflows_workflow_change", found.pk)


def _said(found: Workflow, done: Publication) -> str:
    what = f"{found.name}: {done.version} is what new executions run."
    return f"{what} {_said_of_runs(done.moved)}".strip()


def _said_of_runs(moved: Moved) -> str:
    told = {
        "go on in it": moved.migrated,
        "were cancelled": moved.cancelled,
        "stay on their version": moved.stayed,
    }
    parts = [f"{count} {words}" for words, count in told.items() if count]
    return f"Of the executions under way, {', '.join(parts)}." if parts else ""


def _context(owner: Any, request: HttpRequest, found: Workflow, form: ChoiceForm) -> dict[str, Any]:
    wanted = request.GET.get("version", "")
    version = (
        found.versions.filter(number=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 9 else None
    )
    if version is not None:
        # Nothing is saved: the page shows what would be if that were the draft.
        found.definition = version.definition
    current = found.current_version
    before = current.definition if current is not None else {}
    return {
        **owner.admin_site.each_context(request),
        "title": f"Go back to version {version.number}" if version is not None else "Publish the draft",
        "opts": owner.opts,
        "original": found,
        "media": owner.media,
        "form": form,
        "impact": impact_of(found),
        "diff": _lines(
            text_diff(before, found.definition, names=(str(current or "nothing"), "what would run"))
        ),
        "answer": f"Publish version {version.number} again" if version is not None else "Publish",
        "back": reverse("admin:workflows_workflow_change", args=[found.pk]),
    }


def _lines(diff: str) -> list[tuple[str, str]]:
    """Each line with what it is: added, removed, where it stands, or the same."""
    kinds = {"+": "added", "-": "removed", "@": "place"}
    return [(kinds.get(line[:1], "same"), line) for line in diff.splitlines()]
