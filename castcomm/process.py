"""What kind of process this is, told by its entry point before the settings are read."""

from __future__ import annotations

# Set by castcomm.asgi. Not an environment variable: those are the deployment's, and children inherit them.
is_web = False
