"""The ASGI application: Django for HTTP, the hub for WebSockets, in one process."""

from __future__ import annotations

import os

from castcomm import process

# The settings, which are read below, choose by it.
process.is_web = True
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "castcomm.settings")

from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402

django_application = get_asgi_application()

# Only importable once Django is set up.
from castcomm.realtime.consumer import realtime  # noqa: E402
from castcomm.realtime.lifespan import lifespan  # noqa: E402

application = ProtocolTypeRouter({"http": django_application, "websocket": realtime, "lifespan": lifespan})
