"""At which hours people attend to things, as smart send time sees it."""

from __future__ import annotations

import calendar
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from unfold.decorators import display

from notifications.admin.ledger import LedgerAdmin
from notifications.models import EngagementHistogram

BEST = 5  # hours that are named


@admin.register(EngagementHistogram)
class EngagementHistogramAdmin(LedgerAdmin):
    """Counts by hour of the week, each person's and everybody's; what it was that they read is not kept here."""

    list_display = ("person", "total", "best_hours", "updated_at", "organization")
    list_select_related = ("user", "organization")
    search_fields = ("user__email",)
    ordering = ("-total",)
    fields = ("organization", "person", "total", "best_hours", "by_day", "updated_at")
    readonly_fields = fields

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(user__email=term.lower())

    @display(description="person")
    def person(self, histogram: EngagementHistogram) -> str:
        return str(histogram.user) if histogram.user else "Everybody"

    @display(description="most often (their own time)")
    def best_hours(self, histogram: EngagementHistogram) -> str:
        hours = sorted(enumerate(histogram.counts), key=lambda one: -one[1])[:BEST]
        named = [
            f"{calendar.day_abbr[hour // 24]} {hour % 24:02}:00 ({count})" for hour, count in hours if count
        ]
        return ", ".join(named) or "-"

    @display(description="by day")
    def by_day(self, histogram: EngagementHistogram) -> str:
        days = [sum(histogram.counts[day * 24 : day * 24 + 24]) for day in range(7)]
        return ", ".join(f"{calendar.day_abbr[day]} {count}" for day, count in enumerate(days))
