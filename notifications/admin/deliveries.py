"""Deliveries: what waits, what failed, and what staff can do about it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts.admin.dialogs import ask
from accounts.admin.tenancy import TenantTabularInline, limit_to_staffed
from accounts.models import User
from castcomm.common.errors import Conflict
from castcomm.common.ids import parse_id
from notifications.admin.ledger import (
    STATUS_COLOURS,
    DayFilter,
    EventTypeFilter,
    LedgerAdmin,
    chosen_ids,
    find_by_recipient,
    link_to,
    recipient_of,
)
from notifications.models import Delivery, DeliveryAttempt, ProviderEvent
from notifications.providers.base import email_providers, push_providers, sms_providers
from notifications.services.deliveries import cancel_deliveries, requeue, resolve_unknown
from notifications.services.explain import sentence
from notifications.vocabulary import CANCELLABLE, DeliveryStatus

TROUBLE = (
    DeliveryStatus.UNKNOWN,
    DeliveryStatus.DEAD,
    DeliveryStatus.FAILED,
    DeliveryStatus.BOUNCED,
    DeliveryStatus.COMPLAINED,
)
# "Unknown" is not here: sending that again may send twice, which is a decision of its own.
FAILED = (DeliveryStatus.FAILED, DeliveryStatus.DEAD)

_REQUEUE_ONE = ask("Put it back into the queue?", "It is due at once, with fresh attempts.", "Send again")
_CANCEL_ONE = ask(
    "Cancel this delivery?", "It does not go out. The other channels go on.", "Cancel the delivery"
)
_MARK_SENT = ask(
    "Did it arrive?",
    "Nobody knows whether the provider sent it. Mark it as sent when you found that it arrived.",
    "It arrived",
)
_SEND_AGAIN = ask(
    "Send it again?", "If the first one arrived after all, the person gets it twice.", "Send again"
)


class ProviderFilter(DropdownFilter):  # type: ignore[misc]
    """The providers that CastComm knows, read from their registries."""

    title = "provider"
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        known = {*email_providers.keys(), *sms_providers.keys(), *push_providers.keys()}
        return [(name, name) for name in sorted(known)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(provider=self.value()) if self.value() else queryset


class EventTypeOfDeliveryFilter(EventTypeFilter):
    path = "notification__event_type"


class AttemptInline(TenantTabularInline):
    """Each call to a provider, as it went."""

    model = DeliveryAttempt
    organization_path = "delivery__organization"
    read_only = True
    fields = ("number", "provider", "started_at", "finished_at", "how", "detail", "provider_message_id")
    readonly_fields = fields
    verbose_name_plural = "attempts"
    hide_title = True

    @display(description="outcome")
    def how(self, attempt: DeliveryAttempt) -> str:
        return attempt.get_outcome_display() or "Cut short"


class EventInline(TenantTabularInline):
    """What the providers, and our own tracking, reported about it."""

    model = ProviderEvent
    organization_path = "organization"
    read_only = True
    fields = ("occurred_at", "what", "provider", "automatic", "detail", "created_at")
    readonly_fields = fields
    ordering = ("occurred_at", "id")
    verbose_name_plural = "what was reported"
    hide_title = True
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("payload")

    @display(description="what")
    def what(self, event: ProviderEvent) -> SafeString:
        return link_to(event, event.get_kind_display())

    @display(description="by a machine", boolean=True)
    def automatic(self, event: ProviderEvent) -> bool:
        return event.is_automatic


@admin.register(Delivery)
class DeliveryAdmin(LedgerAdmin):
    """Find what did not go out, and send it again, stop it, or say what became of it."""

    list_display = ("when", "recipient", "event_type", "channel", "status_label", "why", "provider", "tries")
    list_display_links = ("when", "recipient")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        ("priority", ChoicesDropdownFilter),
        ProviderFilter,
        EventTypeOfDeliveryFilter,
        ("created_at", DayFilter),
    )
    list_before_template = "admin/notifications/delivery/trouble.html"
    list_select_related = ("notification__user", "notification__event_type")
    search_help_text = (
        "An id (of the delivery, notification or request), a recipient's address, a provider's id"
    )
    actions = ("requeue_selected", "cancel_selected", "mark_selected_sent", "send_selected_again")
    actions_detail = ("requeue_one", "cancel_one", "mark_sent", "send_again")
    fields = (
        "status_label", "why_in_full", "notification_link", "recipient", "channel", "priority", "due_at",
        "sent_at", "delivered_at", "opened_at", "clicked_at", "settled_at", "provider", "provider_message_id",
        "segments", "template_version", "attempt_count", "attempts_forgiven", "lease_until", "error",
        "decision", "created_at", "id",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (AttemptInline, EventInline)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("notification__body", "notification__user__attributes")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        # Trouble is rare and has an index of its own, in this order.
        if request.GET.get("status__exact") in {status.value for status in TROUBLE}:
            return ("-created_at", "-id")
        return ("-id",)

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        as_id = parse_id(term)
        if as_id is not None:
            named = Q(id=as_id) | Q(notification_id=as_id) | Q(notification__request_id=as_id)
            return queryset.filter(named)
        by_recipient = find_by_recipient(term, notification="notification")
        return queryset.filter(by_recipient) if by_recipient else queryset.filter(provider_message_id=term)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {**(extra_context or {}), "trouble": self._trouble(request)}
        return super().changelist_view(request, context)

    def _trouble(self, request: HttpRequest) -> list[dict[str, Any]]:
        """How much is in each state that somebody should look at; from the index of trouble alone."""
        rows = limit_to_staffed(Delivery.objects.filter(status__in=TROUBLE), request, "organization")
        counted = dict(rows.order_by().values_list("status").annotate(Count("id")))
        chosen = request.GET.get("status__exact", "")
        return [
            {
                "status": s.value,
                "label": s.label,
                "count": counted.get(s.value, 0),
                "chosen": s.value == chosen,
            }
            for s in TROUBLE
        ]

    @display(description="recipient")
    def recipient(self, delivery: Delivery) -> str:
        return recipient_of(delivery.notification)

    @display(description="event type")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.notification.event_type.key

    @display(description="status", ordering="status", label=STATUS_COLOURS)
    def status_label(self, delivery: Delivery) -> str:
        return delivery.get_status_display()

    @display(description="attempts", ordering="attempt_count")
    def tries(self, delivery: Delivery) -> int:
        return delivery.attempt_count

    @display(description="why")
    def why(self, delivery: Delivery) -> SafeString:
        return format_html('<span class="cc-why">{}</span>', delivery.get_reason_display())

    @display(description="why")
    def why_in_full(self, delivery: Delivery) -> str:
        return sentence(delivery)

    @display(description="notification")
    def notification_link(self, delivery: Delivery) -> SafeString:
        text = f"{delivery.notification.event_type.key}: why, and what the other channels did"
        return link_to(delivery.notification, text)

    # Which buttons a page has follows from the delivery's state.

    def has_requeue_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._is_in(request, object_id, FAILED)

    def has_cancel_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._is_in(request, object_id, CANCELLABLE)

    def has_resolve_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self._is_in(request, object_id, (DeliveryStatus.UNKNOWN,))

    def _is_in(self, request: HttpRequest, object_id: str | None, states: tuple[str, ...]) -> bool:
        found = self.row(request, object_id) if object_id else None
        return found is not None and found.status in states

    @action(
        description="Send again",
        url_path="requeue",
        permissions=["requeue"],
        variant=ActionVariant.PRIMARY,
        dialog=_REQUEUE_ONE,
    )
    def requeue_one(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act_on(request, object_id, self._requeue)

    @action(description="Cancel", url_path="cancel", permissions=["cancel"], dialog=_CANCEL_ONE)
    def cancel_one(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act_on(request, object_id, self._cancel)

    @action(
        description="Mark as sent: it arrived",
        url_path="mark-sent",
        permissions=["resolve"],
        variant=ActionVariant.PRIMARY,
        dialog=_MARK_SENT,
    )
    def mark_sent(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act_on(request, object_id, lambda row: self._resolve(request, row, sent=True))

    @action(description="Send again", url_path="send-again", permissions=["resolve"], dialog=_SEND_AGAIN)
    def send_again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.act_on(request, object_id, lambda row: self._resolve(request, row, sent=False))

    def _requeue(self, delivery: Delivery) -> str:
        if not requeue([delivery.id]):
            raise Conflict(
                "It cannot be sent again: its state has changed, or the notification was cancelled."
            )
        return "It is due again."

    def _cancel(self, delivery: Delivery) -> str:
        if not cancel_deliveries([delivery.id]):
            raise Conflict("Too late: it is on its way.")
        return "Cancelled."

    def _resolve(self, request: HttpRequest, delivery: Delivery, *, sent: bool) -> str:
        if not resolve_unknown([delivery.id], sent=sent, by=_name_of(request)):
            raise Conflict("Its state has changed meanwhile.")
        return "Marked as sent." if sent else "It is due again."

    @admin.action(description="Send again (failed and dead letters)", permissions=["act"])
    def requeue_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        done = requeue(chosen_ids(queryset.filter(status__in=FAILED)))
        self._report(request, [id_ for id_, _ in done], "due again")

    @admin.action(description="Cancel (those that wait)", permissions=["act"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        done = cancel_deliveries(chosen_ids(queryset.filter(status__in=CANCELLABLE)))
        self._report(request, [id_ for id_, _ in done], "cancelled")

    @admin.action(description="Unknown: mark as sent (it arrived)", permissions=["act"])
    def mark_selected_sent(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._resolve_selected(request, queryset, sent=True)

    @admin.action(description="Unknown: send again (it may arrive twice)", permissions=["act"])
    def send_selected_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._resolve_selected(request, queryset, sent=False)

    def _resolve_selected(self, request: HttpRequest, queryset: QuerySet[Delivery], *, sent: bool) -> None:
        unknown = chosen_ids(queryset.filter(status=DeliveryStatus.UNKNOWN))
        done = resolve_unknown(unknown, sent=sent, by=_name_of(request))
        self._report(request, [id_ for id_, _ in done], "marked as sent" if sent else "due again")

    def _report(self, request: HttpRequest, ids: list[uuid.UUID], what: str) -> None:
        """Say how many were changed, and keep in each one's history who did it."""
        if not ids:
            text = "None of the selected deliveries is in a state for this."
            self.message_user(request, text, messages.WARNING)
            return
        assert isinstance(request.user, User)
        rows = Delivery.objects.filter(id__in=ids)
        LogEntry.objects.log_actions(request.user.id, rows, CHANGE, change_message=f"{what.capitalize()}.")
        self.message_user(request, f"{len(ids)} {what}.", messages.SUCCESS)


def _name_of(request: HttpRequest) -> str:
    assert isinstance(request.user, User)
    return request.user.display_name
