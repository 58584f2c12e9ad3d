"""Notifications: why each channel was or was not used, and what happened when."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts.admin.dialogs import ask
from castcomm.common.ids import parse_id
from notifications import selectors
from notifications.admin.ledger import (
    STATUS_COLOURS,
    DayFilter,
    EventTypeFilter,
    LedgerAdmin,
    find_by_recipient,
    link_to,
    names_of,
    recipient_of,
)
from notifications.models import Delivery, Notification
from notifications.services.deliveries import cancel_notification, retry_notification
from notifications.services.explain import explain_notification
from notifications.services.explaining.timeline import timeline
from notifications.vocabulary import CANCELLABLE, REQUEUABLE, Channel, DeliveryStatus

_MOMENTS = ("due_at", "sent_at")

_RETRY = ask(
    "Try the channels that failed again?",
    "Failed channels and dead letters go out again, and so do those of which nobody knows: "
    "if such a one arrived after all, the person gets it twice.",
    "Try again",
)
_CANCEL = ask(
    "Cancel this notification?",
    "Channels that wait are stopped. What has been sent stays sent.",
    "Cancel the notification",
)


@admin.register(Notification)
class NotificationAdmin(LedgerAdmin):
    """One person's copy of a request. The page explains it."""

    list_display = ("when", "recipient", "event_type", "title", "channels", "priority", "read_at")
    list_display_links = ("when", "recipient")
    list_filter = (
        EventTypeFilter,
        ("priority", ChoicesDropdownFilter),
        ("created_at", DayFilter),
    )
    list_select_related = ("event_type", "user")
    search_help_text = "An id (of the notification, request or person), or a recipient's address"
    actions_detail = ("retry", "cancel")
    fields = (
        "recipient_link", "event_type_link", "request_link", "title", "body", "action_url", "priority",
        "created_at", "seen_at", "read_at", "archived_at", "snoozed_until", "expires_at", "cancelled_at", "id",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        states = Delivery.objects.only("notification_id", "channel", "status")
        rows: QuerySet[Any] = super().get_queryset(request).select_related("event_type", "user")
        return rows.prefetch_related(Prefetch("deliveries", queryset=states, to_attr="states"))

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        as_id = parse_id(term)
        if as_id is not None:
            return queryset.filter(Q(id=as_id) | Q(request_id=as_id) | Q(user_id=as_id))
        by_recipient = find_by_recipient(term, notification="")
        return queryset.filter(by_recipient) if by_recipient else queryset.none()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = self.row(request, object_id)
        context = dict(extra_context or {})
        if found is not None:
            context.update(explanation_of(found))
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    @display(description="recipient")
    def recipient(self, notification: Notification) -> str:
        return recipient_of(notification)

    @display(description="channels")
    def channels(self, notification: Any) -> SafeString | str:
        states = sorted(notification.states, key=lambda one: Channel.values.index(one.channel))
        return format_html_join(
            "", '<span class="cc-state">{} <span>{}</span></span>', (_state_words(state) for state in states)
        )

    @display(description="recipient")
    def recipient_link(self, notification: Notification) -> SafeString | str:
        return link_to(notification.user) if notification.user else recipient_of(notification)

    @display(description="event type")
    def event_type_link(self, notification: Notification) -> SafeString:
        return link_to(notification.event_type)

    @display(description="request")
    def request_link(self, notification: Notification) -> SafeString:
        return link_to(notification.request, "What was asked for, with its data")

    def has_cancel_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._has_state(request, object_id, CANCELLABLE)

    def has_retry_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._has_state(request, object_id, REQUEUABLE)

    def _has_state(self, request: HttpRequest, object_id: str | None, states: tuple[str, ...]) -> bool:
        found = self.row(request, object_id) if object_id else None
        if found is None or found.cancelled_at is not None:
            return False
        return any(state.status in states for state in found.states)

    @action(
        description="Try again",
        url_path="retry",
        permissions=["retry"],
        variant=ActionVariant.PRIMARY,
        dialog=_RETRY,
    )
    def retry(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def act(found: Notification) -> str:
            done = retry_notification(
                organization=found.organization, notification_id=found.id, even_if_unknown=True
            )
            return f"Due again: {names_of(done)}."

        return self.act_on(request, object_id, act)

    @action(description="Cancel", url_path="cancel", permissions=["cancel"], dialog=_CANCEL)
    def cancel(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def act(found: Notification) -> str:
            done = cancel_notification(organization=found.organization, notification_id=found.id)
            late = f" Too late for: {names_of(done.too_late)}." if done.too_late else ""
            return f"Stopped: {names_of(done.stopped)}.{late}"

        return self.act_on(request, object_id, act)


def _state_words(state: Delivery) -> tuple[str, str]:
    return state.get_channel_display(), state.get_status_display().lower()


def explanation_of(notification: Notification) -> dict[str, Any]:
    """The service's explanation and timeline, with times and words as the page shows them."""
    told = explain_notification(notification_id=notification.id, organization=notification.organization)
    rows = selectors.notifications_with_ledger(notification.organization_id)
    return {
        "explained_channels": [_channel(one) for one in told["channels"]],
        "broadcast": told["broadcast"],
        "digest": told["digest"],
        "timeline": [
            (dt.datetime.fromisoformat(moment), text)
            for moment, text in timeline(rows.get(id=notification.id))
        ],
    }


def _channel(told: dict[str, Any]) -> dict[str, Any]:
    known = told["status"] in DeliveryStatus.values
    label = DeliveryStatus(told["status"]).label if known else "Not used"
    return {
        **told,
        **{name: _moment(told.get(name)) for name in _MOMENTS},
        "name": Channel(told["channel"]).label,
        "label": label,
        "colour": STATUS_COLOURS.get(label, ""),
        "waits": told["status"] in CANCELLABLE,
        "attempts": [_attempt(one) for one in told.get("attempts", [])],
        # What was decided before is told in the sentence.
        "decision": [
            (key.replace("_", " "), value)
            for key, value in told.get("decision", {}).items()
            if key != "earlier"
        ],
    }


def _attempt(told: dict[str, Any]) -> dict[str, Any]:
    started, finished = _moment(told["started_at"]), _moment(told["finished_at"])
    took = (finished - started).total_seconds() if started and finished else None
    return {**told, "started_at": started, "took": took, "outcome": told["outcome"].replace("_", " ")}


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
