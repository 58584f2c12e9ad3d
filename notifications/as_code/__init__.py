"""Categories, event types, templates and an organization's defaults as files: one kind per module."""
