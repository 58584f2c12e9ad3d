"""Settings of the peers: django-post-office, and one Celery task per mail. Same database server, Redis and sink."""

import os
import urllib.parse

_url = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
SECRET_KEY = "benchmark"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.lstrip("/"),
        "USER": urllib.parse.unquote(_url.username or ""),
        "PASSWORD": urllib.parse.unquote(_url.password or ""),
        "HOST": urllib.parse.unquote(_url.hostname or "localhost"),
        "PORT": _url.port or "",
        "CONN_MAX_AGE": 60,
    }
}
INSTALLED_APPS = ["django.contrib.contenttypes", "post_office"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", int(os.environ["SMTP_PORT"])
DEFAULT_FROM_EMAIL = "bench@example.com"
# As post-office's documentation recommends: its backend, queued mail, sent by `send_queued_mail`; threads and
# batches at its defaults (5 threads per process, 100 mails per batch).
EMAIL_BACKEND = os.environ.get("PEER_EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
POST_OFFICE = {
    "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
    "BATCH_SIZE": 100,
    "THREADS_PER_PROCESS": 5,
    "CELERY_ENABLED": False,
    "MAX_RETRIES": 4,
}
TEMPLATES = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {}},
    {
        "BACKEND": "post_office.template.backends.post_office.PostOfficeTemplates",
        "NAME": "post_office",
        "APP_DIRS": True,
        "DIRS": [],
        "OPTIONS": {"context_processors": []},
    },
]
CELERY_BROKER_URL = os.environ["REDIS_URL"]
LOGGING_CONFIG = None
