"""Addresses of workflows, below ``/api/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from workflows.api import execution_views, publishing_views, simulation_views, workflow_views

urlpatterns: list[URLPattern | URLResolver] = [
    route("workflows", workflow_views.WorkflowsView.as_view(), name="workflows"),
    route("workflows/<key>", workflow_views.WorkflowDetailView.as_view(), name="workflow"),
    route("workflows/<key>/publish", publishing_views.PublishView.as_view(), name="workflow-publish"),
    route("workflows/<key>/impact", publishing_views.ImpactView.as_view(), name="workflow-impact"),
    route("workflows/<key>/versions", publishing_views.VersionsView.as_view(), name="workflow-versions"),
    route(
        "workflows/<key>/versions/<int:number>/diff",
        publishing_views.DiffView.as_view(),
        name="workflow-diff",
    ),
    route("workflows/<key>/rollback", publishing_views.RollbackView.as_view(), name="workflow-rollback"),
    route("workflows/<key>/pause", workflow_views.PauseView.as_view(), name="workflow-pause"),
    route("workflows/<key>/resume", workflow_views.ResumeView.as_view(), name="workflow-resume"),
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
