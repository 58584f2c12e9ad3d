"""Settings under which the hub runs alone: only the socket side is measured, not the apps and the database."""

import os

SECRET_KEY = "benchmark-only"
DEBUG = False
USE_TZ = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "castcomm.realtime"]
CORS_ALLOWED_ORIGINS: list[str] = []
PUBLIC_URL = FRONTEND_URL = "http://localhost"
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
REDIS_URL = os.environ["REDIS_URL"]
REDIS_PREFIX = "castcomm-benchmark"
REDIS_SOCKET_TIMEOUT = 0.5
DATABASE_POOL_SIZE = 0
WS_HEARTBEAT_INTERVAL = 30_000
WS_CONNECTION_TIMEOUT = 60_000
WS_MAX_CONNECTIONS = 10_000
WS_RATE_PER_MINUTE = 0
