"""What the lists and pages of the ledger share. It is a record: only its actions change it, through services.

The ledger grows without end, so nothing here reads all of it: counting stops at ``COUNTED``, and a search is for
exact things that an index finds.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime, make_aware
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter
from unfold.decorators import display
from unfold.utils import parse_date_str

from accounts.admin.dialogs import go_on
from accounts.admin.tenancy import TenantAdmin, limit_to_staffed
from accounts.models import User
from castcomm.common.errors import CastCommError, InvalidInput
from castcomm.common.ids import parse_id
from notifications.models import Delivery, EventType, Notification
from notifications.services.recipients import address_index, normalize_email, normalize_phone
from notifications.vocabulary import DeliveryStatus

COUNTED = 10_000
# As many notifications to one bare address does a search look through, the newest first.
NAMED = 1_000

STATUS_COLOURS = {
    DeliveryStatus.PENDING.label: "info",
    DeliveryStatus.DEFERRED.label: "info",
    DeliveryStatus.IN_DIGEST.label: "info",
    DeliveryStatus.PAUSED.label: "warning",
    DeliveryStatus.SENDING.label: "info",
    DeliveryStatus.UNKNOWN.label: "warning",
    DeliveryStatus.SENT.label: "success",
    DeliveryStatus.DIGESTED.label: "success",
    DeliveryStatus.DELIVERED.label: "success",
    DeliveryStatus.OPENED.label: "success",
    DeliveryStatus.CLICKED.label: "success",
    DeliveryStatus.BOUNCED.label: "danger",
    DeliveryStatus.COMPLAINED.label: "danger",
    DeliveryStatus.FAILED.label: "danger",
    DeliveryStatus.DEAD.label: "danger",
}


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than ``COUNTED`` rows: filters and the search lead to what lies beyond."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())


class EventTypeFilter(DropdownFilter):  # type: ignore[misc]
    """The event types of the organizations that this person works for."""

    title = "event type"
    parameter_name = "event_type"
    path = "event_type"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        rows = limit_to_staffed(EventType.objects.all(), request, "organization")
        return [(str(id_), key) for id_, key in rows.order_by("key").values_list("id", "key")[:500]]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if not self.value():
            return queryset
        chosen = parse_id(self.value())
        return queryset.filter(**{self.path: chosen}) if chosen else queryset.none()


class DayFilter(RangeDateFilter):  # type: ignore[misc]
    """From the beginning of one day to the end of another, in the site's time zone."""

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        first, last = (self._day(end) for end in ("from", "to"))
        if first is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": first})
        if last is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": last + dt.timedelta(days=1)})
        return queryset

    def _day(self, end: str) -> dt.datetime | None:
        day = parse_date_str(str(self.used_parameters.get(f"{self.parameter_name}_{end}") or ""))
        return make_aware(dt.datetime.combine(day, dt.time())) if day else None


class LedgerAdmin(TenantAdmin):
    """A list and pages of what happened, newest first, with actions that go through services."""

    read_only = True
    paginator = BoundedPaginator
    list_filter_submit = True
    # Counting every choice of every filter would read the whole ledger.
    show_facets = admin.ShowFacets.NEVER
    # The key is a UUIDv7: its order is that of time, and it has an index.
    ordering = ("-id",)
    search_fields = ("id",)

    class Media:
        css = {"all": ("notifications_admin/notifications.css",)}

    def has_act_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whether this person may act on the row: staff of the organization that owns it."""
        if object_id is None:
            return bool(self.has_view_permission(request))
        return self.row(request, object_id) is not None

    @display(description="when", ordering="id")
    def when(self, row: Any) -> SafeString:
        """The moment of creation on one line."""
        moment = localtime(row.created_at)
        shown = moment.strftime("%d %b %Y, %H:%M:%S")
        return format_html('<time class="cc-when" datetime="{}">{}</time>', moment.isoformat(), shown)

    def row(self, request: HttpRequest, object_id: Any) -> Any:
        """The row, read once per request; None when there is none that this person may see."""
        known: dict[str, Any] = request.__dict__.setdefault("_ledger_rows", {})
        key = f"{self.model._meta.label}:{object_id}"
        if key not in known:
            known[key] = self.get_object(request, object_id)
        return known[key]

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.find(queryset, term) if term else queryset), False

    def find(self, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        """The rows that ``term`` names exactly."""
        return queryset.filter(id=parse_id(term))

    def act_on(self, request: HttpRequest, object_id: str, act: Callable[[Any], str]) -> HttpResponse:
        """Run an action of the row's page, say what came of it, and show the page again."""
        found = self.row(request, object_id)
        if found is None:
            raise PermissionDenied
        try:
            done = act(found)
        except CastCommError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.log_change(request, found, done)
            self.message_user(request, done, messages.SUCCESS)
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        address = reverse(name, args=[object_id])
        return go_on(request, address)


def find_by_recipient(term: str, *, notification: str) -> Q | None:
    """The condition that a notification (at the lookup ``notification``, empty for itself) went to this person.

    ``term`` is an e-mail address or a phone number; None for anything else.
    """
    prefix = f"{notification}__" if notification else ""
    try:
        if "@" in term:
            email = normalize_email(term, attr="q")
            people, index = User.objects.filter(email=email), address_index(email, "")
        elif term.startswith("+"):
            phone = normalize_phone(term, attr="q")
            people, index = (
                User.objects.filter(phone_index=address_index("", phone)),
                address_index("", phone),
            )
        else:
            return None
    except InvalidInput:
        return None
    # Looked up first: with plain values the database finds its way through a ledger of any size.
    bare = Delivery.objects.filter(address_index=index).values_list("notification_id", flat=True)
    found = Q(**{f"{prefix}id__in": list(bare.order_by("-id")[:NAMED])})
    person = people.values_list("id", flat=True).first()
    return found | Q(**{f"{prefix}user": person}) if person else found


def recipient_of(notification: Notification) -> str:
    """The person's e-mail address, or the bare address."""
    return notification.user.email if notification.user else notification.address or "bare address"


def link_to(row: models.Model, text: Any = None) -> SafeString:
    """A link to the row's page in the admin."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html('<a class="cc-link" href="{}">{}</a>', reverse(name, args=[row.pk]), text or row)


def chosen_ids(queryset: models.QuerySet[Any]) -> list[uuid.UUID]:
    """The ids of the rows chosen for an action, at most ``COUNTED`` at once."""
    return list(queryset.order_by("id").values_list("id", flat=True)[:COUNTED])


def names_of(channels: list[str]) -> str:
    """Channels as words."""
    return ", ".join(_words(channels))


def _words(channels: list[str]) -> Iterator[str]:
    for channel in channels:
        yield channel.replace("_", "-")
