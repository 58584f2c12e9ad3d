from workflows.models.executions import Execution, ExecutionStatus, StepRun, StepStatus
from workflows.models.workflows import Reentry, Workflow, WorkflowVersion

__all__ = ["Execution", "ExecutionStatus", "Reentry", "StepRun", "StepStatus", "Workflow", "WorkflowVersion"]
