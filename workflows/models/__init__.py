from workflows.models.collecting import (
    DigestItem,
    DigestWindow,
    EventSubscription,
    ExperimentAssignment,
    RecordedEvent,
)
from workflows.models.executions import Execution, ExecutionStatus, StepRun, StepStatus
from workflows.models.side_effects import CallStatus, HttpCall, ThrottlePass
from workflows.models.starting import MassStart, WorkflowSchedule
from workflows.models.workflows import Reentry, Workflow, WorkflowVersion

__all__ = [
    "CallStatus",
    "DigestItem",
    "DigestWindow",
    "EventSubscription",
    "Execution",
    "ExecutionStatus",
    "ExperimentAssignment",
    "HttpCall",
    "MassStart",
    "RecordedEvent",
    "Reentry",
    "StepRun",
    "StepStatus",
    "ThrottlePass",
    "Workflow",
    "WorkflowSchedule",
    "WorkflowVersion",
]
