"""What CastComm asks of Django and its libraries, whatever the deployment. ``castcomm.settings`` adds the rest."""

from __future__ import annotations

import sys
from typing import Any

from django.urls import reverse_lazy

# --- What runs in each process -----------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.github",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.headless",
    "channels",
    "corsheaders",
    "django_celery_beat",
    "django_filters",
    "django_prometheus",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "rest_framework",
    "castcomm.common",
    "castcomm.monitoring",
    "castcomm.realtime",
    "accounts",
    "notifications",
    "messaging",
    "workflows",
]
if sys.argv[1:2] == ["runserver"]:
    # Daphne's runserver stands in front of Django's. For every other process it would only load Twisted: half a second.
    INSTALLED_APPS.insert(0, "daphne")
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "castcomm.common.middleware.RefuseNul",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

# --- Background work (Celery) ------------------------------------------------------------------------

CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 300
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_DB_REUSE_MAX = sys.maxsize  # connections outlive a task; castcomm.celery looks after them
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
DJANGO_CELERY_BEAT_TZ_AWARE = True

# --- Sign-in (Django, allauth) -----------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("account_login")
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.allauth_adapters.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "accounts.allauth_adapters.SocialAccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = False
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_STORE_TOKENS = False
HEADLESS_ONLY = False
HEADLESS_SERVE_SPECIFICATION = False
HEADLESS_TOKEN_STRATEGY = "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy"  # noqa: S105
HEADLESS_JWT_ROTATE_REFRESH_TOKEN = True
HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]

# --- The API (Django REST framework) -----------------------------------------------------------------

CORS_ALLOW_HEADERS = (
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "x-csrftoken",
    "x-organization",
    "x-session-token",
)
CORS_EXPOSE_HEADERS = ("Retry-After", "Idempotency-Replayed")
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.ApiKeyAuthentication",
        "accounts.api.authentication.JWTAuthentication",
        "accounts.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.api.permissions.IsMember"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["castcomm.common.api.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "castcomm.common.api.pagination.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "castcomm.common.api.schema.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "castcomm.common.api.exceptions.Handler",
    "EXCEPTION_FORMATTER_CLASS": "castcomm.common.api.exceptions.Formatter",
    "NESTED_FIELD_SEPARATOR": ".",
    "ALLOWED_ERROR_STATUS_CODES": ["400", "401", "403", "404", "409", "422", "429"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "CastComm",
    "DESCRIPTION": "Notifications, conversations and workflows.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "PREPROCESSING_HOOKS": ["castcomm.common.api.routing.canonical_addresses"],
    "POSTPROCESSING_HOOKS": ["drf_standardized_errors.openapi_hooks.postprocess_schema_enums"],
    # Names for choices that several fields of the same name have; the schema must not make them up.
    "ENUM_NAME_OVERRIDES": {
        "ValidationErrorEnum": "drf_standardized_errors.openapi_serializers.ValidationErrorEnum.choices",
        "ClientErrorEnum": "drf_standardized_errors.openapi_serializers.ClientErrorEnum.choices",
        "OrganizationRole": "accounts.models.organizations.Role.choices",
        "ThreadRole": "messaging.models.participants.Role.choices",
        "ThreadKind": "messaging.models.threads.Kind.choices",
        "ChannelEnum": "notifications.vocabulary.Channel.choices",
        "BroadcastStatus": "notifications.models.requests.RequestStatus.choices",
        "DigestFrequency": "notifications.models.digests.DigestFrequency.choices",
        "DigestWindowStatus": "notifications.models.digests.WindowStatus.choices",
        "SentDigestFrequency": "notifications.services.digests.preview.FREQUENCIES",
        "PushKind": "notifications.models.preferences.PushKind.choices",
        "TemplateKind": "notifications.models.templates.TemplateKind.choices",
        "WebhookKind": "notifications.models.webhooks.WebhookKind.choices",
        "WebhookDeliveryStatus": "notifications.models.webhooks.WebhookStatus.choices",
        "ExecutionStatus": "workflows.models.executions.ExecutionStatus.choices",
    },
    # The pages of the documentation load nothing from other hosts.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

# --- Pages and the admin (django-csp, Unfold) --------------------------------------------------------

# The admin theme evaluates expressions and writes inline styles; CastComm's own pages set a stricter policy.
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "EXCLUDE_URL_PREFIXES": ["/admin/"],
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "https:"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "object-src": ["'none'"],
    },
}
UNFOLD = {
    "SITE_TITLE": "CastComm",
    "SITE_HEADER": "CastComm",
    "SITE_SUBHEADER": "Notifications, conversations, workflows",
    "SITE_SYMBOL": "campaign",
    "SITE_URL": "/",
    # The pages' own accent, so that the admin looks like the same house.
    "COLORS": {
        "primary": {
            "50": "#f0fafa",
            "100": "#d5f1f1",
            "200": "#ace2e3",
            "300": "#76cccf",
            "400": "#3faeb3",
            "500": "#1f9197",
            "600": "#0f767d",
            "700": "#0a6a70",
            "800": "#0d4e53",
            "900": "#104246",
            "950": "#04272a",
        }
    },
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "castcomm.admin_navigation.navigation",
    },
}

# --- Metrics and logs --------------------------------------------------------------------------------

# An IP address is personal data; the request id joins our lines with those of a proxy.
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
PROMETHEUS_EXPORT_MIGRATIONS = False
