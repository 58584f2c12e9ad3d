"""``/api/v1/``: people, organizations, keys, tickets."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from accounts.api import key_views, views
from castcomm.common.api.routing import route

urlpatterns: list[URLPattern | URLResolver] = [
    route("me", views.MeView.as_view(), name="me"),
    route("organizations", views.OrganizationsView.as_view(), name="organizations"),
    route("members", views.MembersView.as_view(), name="members"),
    route("members/<uuid:user_id>", views.MemberView.as_view(), name="member"),
    route("api-keys", key_views.KeysView.as_view(), name="api-keys"),
    route("api-keys/<uuid:key_id>", key_views.KeyDetailView.as_view(), name="api-key"),
    route("api-keys/<uuid:key_id>/rotate", key_views.KeyRotationView.as_view(), name="api-key-rotate"),
    route("api-keys/<uuid:key_id>/revoke", key_views.KeyRevocationView.as_view(), name="api-key-revoke"),
    route("auth/ws-ticket", views.WebSocketTicketView.as_view(), name="ws-ticket"),
]
