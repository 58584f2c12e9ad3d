"""Cursor paging: stable while rows come in, and as fast on the last page as on the first."""

from __future__ import annotations

from rest_framework import pagination


class CursorPagination(pagination.CursorPagination):
    """``?limit=`` (1 to 200, 50 unless told) and ``?cursor=``; newest first."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    ordering: tuple[str, ...] = ("-created_at", "-id")
