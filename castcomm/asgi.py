"""The ASGI application: Django for HTTP, the hub for WebSockets, in one process."""

from __future__ import annotations

import os

# Threads come and go under ASGI; a pool keeps their database connections. The settings read this.
os.environ.setdefault("DATABASE_POOL_SIZE", "8")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "castcomm.settings")

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

# Only importable once Django is set up.
from castcomm.realtime.consumer import realtime  # noqa: E402
from castcomm.realtime.lifespan import lifespan  # noqa: E402

application = ProtocolTypeRouter({"http": django_application, "websocket": realtime, "lifespan": lifespan})
