"""Workflows as files: one kind per module."""
