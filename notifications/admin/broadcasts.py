"""Broadcasts: how far they are, and stopping them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts.admin.dialogs import ask, page_of
from accounts.models import User
from notifications.admin.ledger import LedgerAdmin, link_to
from notifications.models import Broadcast, Delivery, RequestStatus
from notifications.services.audiences.steering import (
    Progress,
    cancel_broadcast,
    pause_broadcast,
    progress_of,
    resume_broadcast,
)
from notifications.vocabulary import WAITING, Channel, DeliveryStatus

STATUS_COLOURS = {
    RequestStatus.DONE.label: "success",
    RequestStatus.FANNING_OUT.label: "info",
    RequestStatus.PAUSED.label: "warning",
    RequestStatus.CANCELLED.label: "warning",
    RequestStatus.INCOMPLETE.label: "danger",
}
STATES: dict[str, str] = {
    RequestStatus.FANNING_OUT: "On its way",
    RequestStatus.DONE: "Written to everybody",
    RequestStatus.INCOMPLETE: "Stopped: a part could not be written",
}
_PAUSE = ask(
    "Pause this broadcast?",
    "Nothing more is written, and what waits to be sent is held. What a worker is sending right now goes out.",
    "Pause",
)
_RESUME = ask(
    "Let it go on?",
    "It goes on where it was stopped. What has become due meanwhile goes out at once.",
    "Resume",
)
_CANCEL = ask(
    "Cancel what has not gone out?",
    "Nothing more is written, and everything that waits is stopped for good. What has been sent stays sent.",
    "Cancel the broadcast",
)


@admin.register(Broadcast)
class BroadcastAdmin(LedgerAdmin):
    """One send to groups. Its page follows it on its way."""

    list_display = ("when", "what", "audience_words", "status_label", "progress_words", "organization")
    list_display_links = ("when", "what")
    list_select_related = ("request__event_type", "organization")
    search_help_text = "An id"
    change_form_before_template = "admin/notifications/broadcast/page.html"
    actions_detail = ("pause", "resume", "cancel")
    fields = ("request_link", "audience_words", "created_at", "paused_at", "paused_by", "finished_at", "id")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return (
            super().get_queryset(request).select_related("request__event_type", "organization", "paused_by")
        )

    def get_urls(self) -> list[URLPattern]:
        shown = page_of(self, "<uuid:object_id>/progress/", BroadcastAdmin.progress, "progress")
        return [shown, *super().get_urls()]

    def progress(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """The progress alone, for the page that asks every other second."""
        found = self.row(request, str(object_id))
        if found is None:
            raise Http404
        if request.GET.get("was") != found.request.status:
            # Other buttons fit now.
            return HttpResponse(headers={"HX-Refresh": "true"})
        return render(request, "admin/notifications/broadcast/progress.html", _progress_context(found))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = self.row(request, object_id)
        context = {**(extra_context or {}), **(_progress_context(found) if found is not None else {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    @display(description="event type")
    def what(self, row: Broadcast) -> str:
        return row.request.event_type.key

    @display(description="to")
    def audience_words(self, row: Broadcast) -> str:
        return "; ".join(_words(one) for one in row.audience)

    @display(description="status", ordering="request__status", label=STATUS_COLOURS)
    def status_label(self, row: Broadcast) -> str:
        return row.request.get_status_display()

    @display(description="written")
    def progress_words(self, row: Broadcast) -> str:
        percent = Progress(status=row.request.status, written=row.written, total=row.total).percent
        return f"{row.written:,} of {row.total:,} ({percent}%)"

    @display(description="request")
    def request_link(self, row: Broadcast) -> SafeString:
        return link_to(row.request, f"{row.request.event_type.key}, its text and its notifications")

    # Which buttons a page has follows from the broadcast's state.

    def _is_in(self, request: HttpRequest, object_id: str | None, *states: RequestStatus) -> bool:
        found = self.row(request, object_id) if object_id else None
        return found is not None and found.request.status in states

    def has_pause_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        if self._is_in(request, object_id, RequestStatus.FANNING_OUT):
            return True
        if not self._is_in(request, object_id, RequestStatus.DONE, RequestStatus.INCOMPLETE):
            return False
        found = self.row(request, object_id)
        return Delivery.objects.filter(notification__request=found.request_id, status__in=WAITING).exists()

    def has_resume_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._is_in(request, object_id, RequestStatus.PAUSED, RequestStatus.INCOMPLETE)

    def has_cancel_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        is_held = self._is_in(request, object_id, RequestStatus.PAUSED)
        return is_held or self.has_pause_permission(request, object_id)

    @action(description="Pause", url_path="pause", permissions=["pause"], dialog=_PAUSE)
    def pause(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        by = request.user.id if isinstance(request.user, User) else None
        return self._steer(request, object_id, pause_broadcast, "Paused: {} deliveries are held.", by=by)

    @action(
        description="Resume",
        url_path="resume",
        permissions=["resume"],
        variant=ActionVariant.PRIMARY,
        dialog=_RESUME,
    )
    def resume(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._steer(
            request, object_id, resume_broadcast, "It goes on, with {} deliveries that were held."
        )

    @action(description="Cancel", url_path="cancel", permissions=["cancel"], dialog=_CANCEL)
    def cancel(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._steer(request, object_id, cancel_broadcast, "Cancelled: {} deliveries were stopped.")

    def _steer(
        self, request: HttpRequest, object_id: str, act: Callable[..., int], said: str, **more: Any
    ) -> HttpResponse:
        def run(found: Broadcast) -> str:
            return said.format(f"{act(organization=found.organization, broadcast_id=found.id, **more):,}")

        return self.act_on(request, object_id, run)


def _words(group: dict[str, Any]) -> str:
    ((kind, value),) = group.items()
    if kind == "organization":
        return "the whole organization"
    return f"{value} named besides" if kind == "recipients" else f"{kind} {value}"


def _progress_context(broadcast: Broadcast) -> dict[str, Any]:
    """What the progress shows; ``is_moving`` says whether to ask again."""
    progress = progress_of(broadcast)
    return {
        "broadcast": broadcast,
        "state": STATES.get(progress.status, broadcast.request.get_status_display()),
        "progress": progress,
        "is_moving": progress.status == RequestStatus.FANNING_OUT
        or (progress.waiting > 0 and progress.status in (RequestStatus.DONE, RequestStatus.INCOMPLETE)),
        "written": f"{progress.written:,}",
        "total": f"{progress.total:,}",
        "waiting": f"{progress.waiting:,}",
        "written_per_minute": f"{progress.write_rate * 60:,.0f}",
        "sent_per_minute": f"{progress.send_rate * 60:,.0f}",
        "time_left": _span(progress.seconds_left),
        "channels": [
            {
                "name": Channel(channel).label,
                "states": [
                    {"label": DeliveryStatus(status).label, "count": f"{count:,}"}
                    for status, count in counts.items()
                ],
            }
            for channel, counts in progress.deliveries.items()
        ],
    }


def _span(seconds: float | None) -> str:
    """About how long, in words; "" when nobody can say."""
    if seconds is None:
        return ""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"about {minutes} minute{'s' if minutes > 1 else ''}"
    return f"about {round(minutes / 60)} hours"
