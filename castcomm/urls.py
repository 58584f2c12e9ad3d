"""Every address of the service."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from csp.decorators import csp_update
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

# Whoever signs in to the admin does it through allauth, so that its second factor holds there too.
admin.autodiscover()
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


@extend_schema(exclude=True)
@api_view(["GET", "POST", "PUT", "PATCH", "DELETE"])
@authentication_classes([])
@permission_classes([AllowAny])
def unknown_address(request: Request, address: str) -> Response:
    raise NotFound(f"There is nothing at /api/v1/{address}.")


# Swagger's page carries one inline style sheet.
documentation = csp_update({"style-src": ["'unsafe-inline'"]})(
    SpectacularSwaggerSplitView.as_view(url_name="schema")
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("castcomm.monitoring.urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("webhooks/", include("notifications.webhooks.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", documentation, name="api-docs"),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("notifications.api.urls")),
    path("api/v1/", include("messaging.api.urls")),
    path("api/v1/", include("workflows.api.urls")),
    # What no app has answers in the API's error shape.
    path("api/v1/<path:address>", unknown_address, name="unknown-address"),
    path("", include("notifications.public.urls")),
    # Last, so that in templates the name of a page is the page, and not the API's address of that name.
    path("", include("castcomm.page_urls")),
]
