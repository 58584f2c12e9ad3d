"""Every setting of CastComm, typed, from the environment. ``.env.example`` describes each variable.

Nothing else in the code base reads the environment; what no deployment can change stands in
``castcomm.settings_of_libraries``. A value that cannot work fails ``manage.py check`` with a numbered message
(``castcomm.monitoring.checks``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from castcomm import process
from castcomm import settings_of_libraries as libraries
from castcomm.embedded.environment import lasting_secrets
from castcomm.settings_of_libraries import *  # noqa: F403 - all of them are settings

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
if (BASE_DIR / ".env").is_file():
    environ.Env.read_env(BASE_DIR / ".env")

# --- The deployment -----------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)


def _secret(name: str) -> str:
    """A secret of the environment; while DEBUG is on, one that this checkout makes for itself and keeps."""
    value = str(env.str(name, default=""))
    if value or not DEBUG:
        return value
    VAR_DIR.mkdir(exist_ok=True)
    return lasting_secrets(VAR_DIR, {}).get(name, "")


SECRET_KEY = _secret("SECRET_KEY")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. bin/run makes one; elsewhere set it to 50 random characters or more."
    )
# Keys of before, separated by commas: what they signed (the links in mails already sent) still works.
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
PORT = env.int("PORT", default=8000)
PUBLIC_URL = env.str("PUBLIC_URL", default=env.str("BACKEND_URL", default=f"http://localhost:{PORT}")).rstrip(
    "/"
)
FRONTEND_URL = env.str("FRONTEND_URL", default=PUBLIC_URL).rstrip("/")
_public = urlsplit(PUBLIC_URL)
SECURE = _public.scheme == "https"
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=SECURE)
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS", default=[_public.hostname or "localhost", "localhost", "127.0.0.1", "[::1]"]
)
CORS_ALLOWED_ORIGINS: list[str] = env.list("CORS_ORIGINS", default=[])
CSRF_TRUSTED_ORIGINS = sorted({PUBLIC_URL, *CORS_ALLOWED_ORIGINS})

ROOT_URLCONF = "castcomm.urls"
ASGI_APPLICATION = "castcomm.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- PostgreSQL and Redis -----------------------------------------------------------------------------

# Threads come and go in a web process, where a pool keeps their connections; workers keep one connection each.
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=8 if process.is_web else 0)
DATABASES = {"default": env.db("DATABASE_URL", default="postgres://localhost/castcomm")}
DATABASES["default"].update(
    ENGINE="django.db.backends.postgresql",
    CONN_HEALTH_CHECKS=True,
    CONN_MAX_AGE=0 if DATABASE_POOL_SIZE else 60,
    OPTIONS={
        "connect_timeout": 5,
        "application_name": env.str("SERVICE_NAME", default="castcomm"),
        # A prepared statement is planned once. Left to itself PostgreSQL thinks a plan made anew for one recipient
        # cheaper than the general one, and planning then takes longer than running.
        "options": "-c plan_cache_mode=force_generic_plan",
    },
    TEST={"NAME": "test_castcomm" + env.str("TEST_DB_SUFFIX", default="")},
)
if DATABASE_POOL_SIZE:
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": DATABASE_POOL_SIZE,
        "timeout": 10,
        "max_idle": 300,
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="redis://localhost:6379/0")
# Everything CastComm keeps in Redis starts with this, so that several installations can share one server.
REDIS_PREFIX = env.str("REDIS_PREFIX", default="castcomm")
# No thread may wait longer than this for Redis (seconds): Redis is a doorbell, the truth is in PostgreSQL.
REDIS_SOCKET_TIMEOUT = 0.5
CACHES = {
    "default": {
        "BACKEND": "castcomm.common.cache.FallbackRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": f"{REDIS_PREFIX}:cache",
        "OPTIONS": {
            "socket_timeout": REDIS_SOCKET_TIMEOUT,
            "socket_connect_timeout": REDIS_SOCKET_TIMEOUT,
        },
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": f"{REDIS_PREFIX}:channels"},
    }
}

# --- Background work ----------------------------------------------------------------------------------

_broker = env.str("CELERY_BROKER_URL", default=REDIS_URL)
CELERY_BROKER_URL = (
    "redis+socket://" + _broker.removeprefix("unix://") if _broker.startswith("unix:") else _broker
)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{REDIS_PREFIX}:celery:",
    "socket_timeout": 5,
    "socket_connect_timeout": REDIS_SOCKET_TIMEOUT,
    "visibility_timeout": 3600,
}

# --- People and sign-in -------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
# The slug of the organization of those who sign up without naming one.
DEFAULT_ORGANIZATION = env.str("DEFAULT_ORGANIZATION", default="")
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _public.scheme
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, Any]] = {
    "google": {"SCOPE": ["profile", "email"], "OAUTH_PKCE_ENABLED": True},
    "github": {"SCOPE": ["user:email"]},
}
for _provider, _prefix in (("google", "GOOGLE"), ("github", "GITHUB")):
    if env.str(f"{_prefix}_CLIENT_ID", default=""):
        SOCIALACCOUNT_PROVIDERS[_provider]["APPS"] = [
            {
                "client_id": env.str(f"{_prefix}_CLIENT_ID"),
                "secret": env.str(f"{_prefix}_CLIENT_SECRET", default=""),
            }
        ]
HEADLESS_JWT_PRIVATE_KEY = _secret("JWT_PRIVATE_KEY").replace("\\n", "\n")
HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN = env.int("JWT_ACCESS_SECONDS", default=300)
HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN = env.int("JWT_REFRESH_SECONDS", default=14 * 86400)
# allauth counts failed sign-ins per address.
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if BEHIND_PROXY else 0

# --- Encryption ---------------------------------------------------------------------------------------

# Comma-separated Fernet keys; the first encrypts, all decrypt. See manage.py rotate_encryption_keys.
FIELD_ENCRYPTION_KEYS: list[str] = [
    key.strip() for key in _secret("FIELD_ENCRYPTION_KEYS").split(",") if key.strip()
]
# Apart from SECRET_KEY, because it can never change: the indexes of all rows depend on it.
BLIND_INDEX_KEY = _secret("BLIND_INDEX_KEY")

# --- The API ------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    **libraries.REST_FRAMEWORK,
    # Whose address counts for the rate of those who are not signed in: the caller's, or what one proxy says.
    "NUM_PROXIES": 1 if BEHIND_PROXY else 0,
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.str("API_RATE_ANONYMOUS", default="60/min"),
        "user": env.str("API_RATE_USER", default="6000/min"),
    },
}
# What a view of the API takes that says nothing else; sends take files and long lists of recipients.
API_BODY_BYTES = 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

# --- Realtime -----------------------------------------------------------------------------------------

WS_HEARTBEAT_INTERVAL = env.int("WS_HEARTBEAT_INTERVAL", default=30_000)  # milliseconds
WS_CONNECTION_TIMEOUT = env.int("WS_CONNECTION_TIMEOUT", default=60_000)  # milliseconds
WS_MAX_CONNECTIONS = env.int("WS_MAX_CONNECTIONS", default=10_000)  # per process
WS_RATE_PER_MINUTE = env.int("WS_RATE_PER_MINUTE", default=100)  # events per socket
# How often each socket's session and membership are looked at again (seconds).
WS_RECHECK_SECONDS = env.float("WS_RECHECK_SECONDS", default=60.0)
WS_DRAIN_SECONDS = env.float(
    "WS_DRAIN_SECONDS", default=5.0
)  # how long a stopping process takes to say goodbye

# --- Sending ------------------------------------------------------------------------------------------

EMAIL_FROM = env.str("EMAIL_FROM", default="castcomm@localhost")
EMAIL_FROM_NAME = env.str("EMAIL_FROM_NAME", default="CastComm")
DEFAULT_FROM_EMAIL = f"{EMAIL_FROM_NAME} <{EMAIL_FROM}>"
SMTP_HOST = env.str("SMTP_HOST", default="localhost")
SMTP_PORT = env.int("SMTP_PORT", default=587)
SMTP_USER = env.str("SMTP_USER", default=env.str("SMTP_USERNAME", default=""))
SMTP_PASSWORD = env.str("SMTP_PASSWORD", default="")
# SMTP_SECURE=true is TLS from the first byte (port 465); otherwise STARTTLS is used where it is offered,
# and demanded when a password would be sent.
SMTP_SECURE = env.bool("SMTP_SECURE", default=False)
SMTP_TIMEOUT = env.float("SMTP_TIMEOUT", default=20.0)  # seconds
# Mail of Django and allauth itself (verification, password reset) goes through the same server.
EMAIL_HOST, EMAIL_PORT = SMTP_HOST, SMTP_PORT
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = SMTP_USER, SMTP_PASSWORD
EMAIL_USE_SSL, EMAIL_USE_TLS = SMTP_SECURE, bool(SMTP_PASSWORD) and not SMTP_SECURE
EMAIL_TIMEOUT = SMTP_TIMEOUT
# Which provider is tried first; the other configured ones follow. Empty: those that are configured, in alphabetical
# order; for mail SMTP when none is.
EMAIL_PRIMARY_PROVIDER = env.str("EMAIL_PRIMARY_PROVIDER", default="")
EMAIL_PROVIDER = env.str("EMAIL_PROVIDER", default="")
SMS_PROVIDER = env.str("SMS_PROVIDER", default="")
PUSH_PROVIDER = env.str("PUSH_PROVIDER", default="")
# The push services of the browsers; "*.example.com" is every host below, "*" every host on the public internet.
WEBPUSH_ALLOWED_HOSTS: list[str] = env.list(
    "WEBPUSH_ALLOWED_HOSTS",
    default=[
        "fcm.googleapis.com",
        "jmt17.google.com",
        "*.push.services.mozilla.com",
        "*.notify.windows.com",
        "*.push.apple.com",
    ],
)
WEBPUSH_ALLOW_LOOPBACK = env.bool("WEBPUSH_ALLOW_LOOPBACK", default=DEBUG)
PUSH_UNUSED_DAYS = env.int("PUSH_UNUSED_DAYS", default=90)
# How long things are kept by organizations without a policy of their own, in days; 0 is for ever.
RETENTION_ARCHIVE_READ_DAYS = env.int("RETENTION_ARCHIVE_READ_DAYS", default=30)
RETENTION_ARCHIVE_UNREAD_DAYS = env.int("RETENTION_ARCHIVE_UNREAD_DAYS", default=180)
RETENTION_KEEP_ARCHIVED_DAYS = env.int("RETENTION_KEEP_ARCHIVED_DAYS", default=365)
RETENTION_KEEP_NOTIFICATIONS_DAYS = env.int("RETENTION_KEEP_NOTIFICATIONS_DAYS", default=730)
RETENTION_KEEP_EVENTS_DAYS = env.int("RETENTION_KEEP_EVENTS_DAYS", default=180)
# Countries (ISO 3166-1, two letters) that SMS may go to; empty means all.
SMS_ALLOWED_REGIONS: list[str] = [
    code.strip().upper() for code in env.list("SMS_ALLOWED_REGIONS", default=[]) if code.strip()
]
# What people may answer to an SMS, besides the English words that every country knows.
SMS_STOP_WORDS: list[str] = env.list(
    "SMS_STOP_WORDS", default=["STOPP", "ABMELDEN", "ABBESTELLEN", "ABBRECHEN", "BEENDEN"]
)
SMS_START_WORDS: list[str] = env.list("SMS_START_WORDS", default=["ANMELDEN", "JA"])
SMS_HELP_WORDS: list[str] = env.list("SMS_HELP_WORDS", default=["HILFE"])
# The answer to HELP; empty leaves it to the provider, which has one of its own.
SMS_HELP_TEXT = env.str("SMS_HELP_TEXT", default="")
# The variables of each provider's account are named by its class (notifications/providers), and looked up here.
PROVIDER_ENVIRONMENT: Mapping[str, str] = env.ENVIRON
# Mails per account of the environment; 0 means no limit.
EMAIL_RATE_LIMIT_MINUTE = env.int("EMAIL_RATE_LIMIT_MINUTE", default=0)
EMAIL_RATE_LIMIT_HOUR = env.int("EMAIL_RATE_LIMIT_HOUR", default=0)
EMAIL_RATE_LIMIT_DAY = env.int("EMAIL_RATE_LIMIT_DAY", default=0)
# Messages per person and channel; 0 means no limit.
USER_RATE_LIMIT_MINUTE = env.int("USER_RATE_LIMIT_MINUTE", default=0)
USER_RATE_LIMIT_HOUR = env.int("USER_RATE_LIMIT_HOUR", default=0)
EMAIL_QUEUE_CONCURRENT = env.int("EMAIL_QUEUE_CONCURRENT", default=64)  # mails at once per worker process
EMAIL_MAX_RETRIES = env.int("EMAIL_MAX_RETRIES", default=12)
EMAIL_RETRY_DELAY = env.int("EMAIL_RETRY_DELAY", default=1_000)  # milliseconds, first back-off
EMAIL_RETRY_MAX_DELAY = env.int("EMAIL_RETRY_MAX_DELAY", default=7_200_000)  # milliseconds
# Whether mails may tell that they were opened and which links were clicked; organizations and people can say no, too.
TRACKING_ENABLED = env.bool("TRACKING_ENABLED", default=True)
NOTIFICATION_BATCH_SIZE = env.int("NOTIFICATION_BATCH_SIZE", default=256)
DELIVERY_LEASE = dt.timedelta(seconds=env.int("DELIVERY_LEASE_SECONDS", default=60))

# Where the demo's stand-ins of the providers listen on this machine (bin/run; only with DEBUG).
STAND_INS_PORT = env.int("STAND_INS_PORT", default=8027)
# Whether an account may name another address than its provider's own (api_url): tests and benchmarks, and development.
PROVIDER_STAND_INS = env.bool("PROVIDER_STAND_INS", default=DEBUG)

# --- Outgoing webhooks and alerts ---------------------------------------------------------------------

# Webhooks reach this machine only in development; tests turn it on for themselves.
WEBHOOKS_TO_LOOPBACK = DEBUG
# Where the deployment's own alerts go, besides the log.
SLACK_WEBHOOK_URL = env.str("SLACK_WEBHOOK_URL", default="")
ALERT_WEBHOOK_URL = env.str("ALERT_WEBHOOK_URL", default="")
ALERT_WEBHOOK_SECRET = env.str("ALERT_WEBHOOK_SECRET", default="")

# --- Workflows ----------------------------------------------------------------------------------------

# Delays of workflows are divided by this. 1 is real time; bin/run uses 2880: a day lasts 30 seconds.
DEMO_TIME_SCALE = env.float("DEMO_TIME_SCALE", default=1.0)

# --- Language, files, security ------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
# Two installations on one host (two checkouts on two ports) share the host's cookies; their names must differ.
SESSION_COOKIE_NAME = f"castcomm_session_{PORT}" if DEBUG else "castcomm_session"
CSRF_COOKIE_NAME = f"castcomm_csrf_{PORT}" if DEBUG else "castcomm_csrf"
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=SECURE)
SECURE_REDIRECT_EXEMPT = [r"^health", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if SECURE else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    **libraries.CONTENT_SECURITY_POLICY,
    "DIRECTIVES": {
        **libraries.CONTENT_SECURITY_POLICY["DIRECTIVES"],
        "connect-src": ["'self'", "wss:" if SECURE else "ws:"],
    },
}
INTERNAL_IPS = ["127.0.0.1"]

# --- The admin ----------------------------------------------------------------------------------------

SILENCED_SYSTEM_CHECKS: list[str] = []

# --- Logs ---------------------------------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
LOG_FORMAT = env.str("LOG_FORMAT", default="console" if DEBUG else "json")
LOGGING_CONFIG = "castcomm.monitoring.logs.configure"
LOGGING = {"level": LOG_LEVEL, "format": LOG_FORMAT}
# X-Request-ID is a proxy's to give; from anyone else it would be the client's own invention.
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = BEHIND_PROXY

# --- Metrics ------------------------------------------------------------------------------------------

# /metrics answers to these addresses, and to whoever sends "Authorization: Bearer <METRICS_TOKEN>".
METRICS_ALLOWED_IPS: list[str] = env.list("METRICS_ALLOWED_IPS", default=["127.0.0.1", "::1"])
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
