"""Workflows in the admin: what staff edit, and what has happened."""

from workflows.admin import executions, workflows

__all__ = ["executions", "workflows"]
