"""What a workflow would do: the engine's interpreter on a virtual clock, with real people's data and listed effects.

Nothing here writes; ``workflows.services.simulating`` runs it in a transaction that PostgreSQL holds to reading.
"""
