from workflows.models.collecting import (
    DigestItem,
    DigestWindow,
    EventSubscription,
    ExperimentAssignment,
    RecordedEvent,
)
from workflows.models.executions import Execution, ExecutionStatus, StepRun, StepStatus
from workflows.models.workflows import Reentry, Workflow, WorkflowVersion

__all__ = [
    "DigestItem",
    "DigestWindow",
    "EventSubscription",
    "Execution",
    "ExecutionStatus",
    "ExperimentAssignment",
    "RecordedEvent",
    "Reentry",
    "StepRun",
    "StepStatus",
    "Workflow",
    "WorkflowVersion",
]
