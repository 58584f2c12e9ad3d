"""The step types. Each module of this package defines one and registers it; see ``docs/add-a-step.md``."""
