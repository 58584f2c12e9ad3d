"""Addresses of workflows, below ``/api/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from workflows.api import execution_views, simulation_views, workflow_views

urlpatterns: list[URLPattern | URLResolver] = [
    route("workflows", workflow_views.WorkflowsView.as_view(), name="workflows"),
    route("workflows/<key>", workflow_views.WorkflowDetailView.as_view(), name="workflow"),
    route("workflows/<key>/publish", workflow_views.PublishView.as_view(), name="workflow-publish"),
    route("workflows/<key>/trigger", workflow_views.TriggerView.as_view(), name="workflow-trigger"),
    route("workflows/<key>/simulate", simulation_views.SimulateView.as_view(), name="workflow-simulate"),
    route("workflows/<key>/backtest", simulation_views.BacktestRunView.as_view(), name="workflow-backtest"),
    route("events", execution_views.EventsView.as_view(), name="events"),
    route("workflow-executions", execution_views.ExecutionsView.as_view(), name="workflow-executions"),
    route(
        "workflow-executions/<uuid:execution_id>",
        execution_views.ExecutionDetailView.as_view(),
        name="workflow-execution",
    ),
    route(
        "workflow-executions/<uuid:execution_id>/cancel",
        execution_views.CancelView.as_view(),
        name="workflow-execution-cancel",
    ),
]
