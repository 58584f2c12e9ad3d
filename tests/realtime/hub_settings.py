"""Settings of the server under test: the sockets alone, so that a test says itself who may hear what."""

import os

SECRET_KEY = "tests-only"
DEBUG = False
USE_TZ = True
ALLOWED_HOSTS = ["app.example.com", "127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "castcomm.realtime"]
CORS_ALLOWED_ORIGINS = ["https://partner.example.org"]
PUBLIC_URL = FRONTEND_URL = "http://app.example.com"
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_NAME = "castcomm_session"
REDIS_URL = os.environ["REDIS_URL"]
REDIS_PREFIX = os.environ["REDIS_PREFIX"]
REDIS_SOCKET_TIMEOUT = 0.5
DATABASE_POOL_SIZE = 0
WS_HEARTBEAT_INTERVAL = 30_000
WS_CONNECTION_TIMEOUT = 60_000
WS_MAX_CONNECTIONS = int(os.environ.get("WS_MAX_CONNECTIONS", "1000"))
WS_RATE_PER_MINUTE = int(os.environ.get("WS_RATE_PER_MINUTE", "100"))
