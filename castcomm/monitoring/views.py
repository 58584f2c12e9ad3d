"""``/health``, ``/health/ready`` and ``/metrics``."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_prometheus import exports

from castcomm.common.clock import now
from castcomm.monitoring.health import ServiceState, probe_all


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Liveness: 200 as long as the process answers; what it depends on is reported, and not a reason to restart."""
    return JsonResponse(_report(probe_all()))


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Readiness: 200 when requests can be served, else 503.

    Redis is needed for nothing that must not be lost, yet live updates stop without it: a process that
    cannot reach it gets no traffic.
    """
    states = probe_all()
    is_ready = all(state.is_up for state in states.values())
    return JsonResponse(_report(states), status=200 if is_ready else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus metrics, for METRICS_ALLOWED_IPS and for whoever has METRICS_TOKEN."""
    if not (_has_token(request) or _is_allowed_address(request)):
        return HttpResponse("Not allowed from here; see METRICS_ALLOWED_IPS and METRICS_TOKEN.\n", status=403)
    answer: HttpResponse = exports.ExportToDjangoView(request)
    return answer


def _report(states: dict[str, ServiceState]) -> dict[str, Any]:
    services: dict[str, Any] = {}
    for name, state in states.items():
        services[name] = {"status": state.status, "latency_ms": state.latency_ms}
        if state.detail:
            services[name]["detail"] = state.detail
    everything = all(state.is_up for state in states.values())
    return {
        "status": "healthy" if everything else "degraded",
        "timestamp": now().isoformat().replace("+00:00", "Z"),
        "services": services,
    }


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not settings.METRICS_TOKEN or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())


def _is_allowed_address(request: HttpRequest) -> bool:
    # A request that came through a proxy has the proxy's address, often loopback: then only the token counts.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR") or "")
    except ValueError:
        return False
    allowed = (ipaddress.ip_network(entry, strict=False) for entry in settings.METRICS_ALLOWED_IPS)
    return any(address in network for network in allowed)
