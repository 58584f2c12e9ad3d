"""Trying a workflow on people before it runs."""

from __future__ import annotations

import datetime as dt

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.access import checked, definition_errors, members_or_error
from workflows.api.simulation_serializers import BacktestView, NewBacktest, NewSimulation, SimulationView
from workflows.api.workflow_views import OneWorkflowView
from workflows.services.backtesting import backtest_workflow
from workflows.services.simulating import HORIZON, simulate_workflow
from workflows.simulation.telling import backtest_json, simulation_json


class SimulateView(OneWorkflowView):
    """What would happen to these people."""

    @extend_schema(request=NewSimulation, responses=SimulationView)
    def post(self, request: Request, key: str) -> Response:
        """Simulate it on a virtual clock with the people's real data; nothing is sent and nothing is written."""
        workflow = self.find(key)
        new = checked(NewSimulation, request.data)
        days = new.pop("days", HORIZON.total_seconds() / 86_400)
        users = members_or_error(self.organization, new.pop("users"))
        with definition_errors():
            simulation = simulate_workflow(
                organization=self.organization,
                workflow=workflow,
                users=[user.id for user in users],
                horizon=dt.timedelta(days=days),
                **new,
            )
        return Response({"workflow": workflow.key, **simulation_json(simulation)})


class BacktestRunView(OneWorkflowView):
    """What would have been different for those who went through it."""

    @extend_schema(request=NewBacktest, responses=BacktestView)
    def post(self, request: Request, key: str) -> Response:
        """Try the draft on the last executions, with what they recorded; nothing is sent and nothing is written."""
        workflow = self.find(key)
        new = checked(NewBacktest, request.data)
        with definition_errors():
            backtest = backtest_workflow(organization=self.organization, workflow=workflow, **new)
        return Response({"workflow": workflow.key, **backtest_json(backtest)})
