"""Settings, all read from the environment. `docs/deployment.md` lists every variable."""

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from labeler import logging

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
if env.bool("READ_DOTENV", default=True):
    environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
DATA_DIR = Path(env.str("LABELER_DATA", default=str(BASE_DIR / "data"))).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)

DEBUG_KEY = "only-for-debugging-on-this-machine"


def _secret_key() -> str:
    """The secret from SECRET_KEY; `script/server` makes one per data folder. Never a default."""
    key = env.str("SECRET_KEY", default="")
    if not key and (saved := DATA_DIR / "secret_key").exists():
        key = saved.read_text().strip()
    if not key and DEBUG:
        key = DEBUG_KEY
    if len(key) < 32:
        raise ImproperlyConfigured(
            "SECRET_KEY is missing or shorter than 32 characters. Set it in the environment or in "
            ".env; script/server makes one by itself."
        )
    if not DEBUG and (key == DEBUG_KEY or len(set(key)) < 8):
        raise ImproperlyConfigured(
            "SECRET_KEY can be guessed. Set another one: openssl rand -hex 32"
        )
    return key


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PORT = env.int("PORT", default=8000)
# Of `manage.py serve`. They share what is loaded; more than four would get in each other's way.
WEB_PROCESSES = env.int("WEB_PROCESSES", default=min(4, os.cpu_count() or 1))
BEHIND_TLS = env.bool("BEHIND_TLS", default=False)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "django_vite",
    "annotations",
    "inference",
]

MIDDLEWARE = [
    "labeler.logging.RequestIdMiddleware",
    "annotations.pages.metrics.MetricsMiddleware",
    # Before WhiteNoise: static files carry the headers too; a worker script needs its own COEP.
    "annotations.pages.middleware.SecurityHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "annotations.pages.middleware.LastSeenMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "labeler.urls"
WSGI_APPLICATION = "labeler.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "annotations.pages.notifications.bell",
            ],
        },
    }
]

# --- database -----------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'labeler.sqlite3'}")
}
_sqlite = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
if _sqlite:
    DATABASES["default"]["ENGINE"] = "labeler.sqlite3"
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # PostgreSQL compiles queries that it thinks dear: a second for what then takes a millisecond.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", "-c jit=off")
# SQLite's for long: opening reads the whole schema, a new connection reads each statement anew, and
# the last to close empties the write-ahead log.
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=3600 if _sqlite else 60)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- people -------------------------------------------------------------------------------------
AUTH_USER_MODEL = "annotations.User"
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Single sign-on by OpenID Connect, where an issuer is set.
OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
OIDC_NAME = env.str("OIDC_NAME", default="Sign in with your organization")
OIDC_DOMAINS = [domain.lower() for domain in env.list("OIDC_DOMAINS", default=[])]
if OIDC_ISSUER and not OIDC_CLIENT_ID:
    raise ImproperlyConfigured("OIDC_ISSUER is set, so OIDC_CLIENT_ID is needed, too.")
if OIDC_ISSUER and not OIDC_ISSUER.startswith("https://") and not DEBUG:
    raise ImproperlyConfigured("OIDC_ISSUER must begin with https://.")
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_SSL_REDIRECT = False  # the proxy redirects
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # which asks for that redirect
SECURE_HSTS_SECONDS = 31536000 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = BEHIND_TLS
if BEHIND_TLS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- limits -------------------------------------------------------------------------------------
# Django's defaults (2.5 MB bodies, 100 files) are too low for masks and bulk uploads.
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 2**20
DATA_UPLOAD_MAX_NUMBER_FILES = 1000
FILE_UPLOAD_MAX_MEMORY_SIZE = 4 * 2**20
MAX_IMAGE_BYTES = env.int("MAX_IMAGE_BYTES", default=200 * 2**20)
MAX_IMAGE_PIXELS = env.int("MAX_IMAGE_PIXELS", default=100_000_000)
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", default=4 * 2**30)
# Of torch files, SHA-256 of those that managers may give to their projects; safetensors all may.
ALLOWED_WEIGHTS = env.list("ALLOWED_WEIGHTS", default=[])
# A process keeps several models only where so much host and GPU memory stays free beside them.
MODELS_FREE_BYTES = env.int("MODELS_FREE_BYTES", default=4 * 2**30)
MODELS_IDLE_SECONDS = env.int("MODELS_IDLE_SECONDS", default=15 * 60)
# Hosts that webhooks may call: names, .example.org for all below one, or *. Empty: no webhooks.
WEBHOOK_HOSTS = env.list("WEBHOOK_HOSTS", default=[])
EMBEDDINGS_BYTES = env.int("EMBEDDINGS_BYTES", default=20 * 2**30)

# --- files --------------------------------------------------------------------------------------
# STORAGE_URL: empty = folder <data>/media; s3://KEY:SECRET@HOST:PORT/BUCKET[?tls=0] = S3.
MEDIA_ROOT = DATA_DIR / "media"
STORAGE_URL = env.str("STORAGE_URL", default="")
USE_X_ACCEL = env.bool("USE_X_ACCEL", default=False)  # nginx sends files from /protected/ itself
MODELS_DIR = DATA_DIR / "models"
SPOOL_DIR = DATA_DIR / "spool"


def _storage(url: str) -> dict[str, Any]:
    if not url:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    from urllib.parse import parse_qs, unquote, urlsplit

    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.path.strip("/"):
        raise ImproperlyConfigured("STORAGE_URL must look like s3://KEY:SECRET@HOST:PORT/BUCKET")
    scheme = "http" if parse_qs(parts.query).get("tls") == ["0"] else "https"
    host = parts.hostname or ""
    return {
        "BACKEND": "annotations.storage.ObjectStorage",
        "OPTIONS": {
            "bucket_name": parts.path.strip("/"),
            "access_key": unquote(parts.username or ""),
            "secret_key": unquote(parts.password or ""),
            "endpoint_url": f"{scheme}://{host}:{parts.port}"
            if parts.port
            else f"{scheme}://{host}",
            "default_acl": None,
            "file_overwrite": True,
        },
    }


STORAGES = {
    "default": _storage(STORAGE_URL),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_URL = "/static/"
STATICFILES_DIRS = [d for d in [BASE_DIR / "frontend" / "dist"] if d.exists()]
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = True
WHITENOISE_IMMUTABLE_FILE_TEST = r"^.+-[\w-]{8,}\.\w+$"  # Vite's hashed names
DJANGO_VITE = {"default": {"manifest_path": BASE_DIR / "frontend" / "dist" / "manifest.json"}}

# --- Celery -------------------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL or "filesystem://localhost")
if CELERY_BROKER_URL.startswith("filesystem://"):
    _broker = DATA_DIR / "broker"
    for _name in ("messages", "control", "processed"):
        (_broker / _name).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "data_folder_in": str(_broker / "messages"),
        "data_folder_out": str(_broker / "messages"),
        "control_folder": str(_broker / "control"),
        "processed_folder": str(_broker / "processed"),
        "store_processed": False,
        "polling_interval": 0.03,  # seconds; a look is a listing of a folder that is mostly empty
    }
    _results = DATA_DIR / "results"
    _results.mkdir(exist_ok=True)
    CELERY_RESULT_BACKEND = f"file://{_results}"
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}
    CELERY_RESULT_BACKEND = REDIS_URL or CELERY_BROKER_URL
CELERY_TASK_IGNORE_RESULT = True  # only interactive prompts ask for one
CELERY_RESULT_EXPIRES = 300
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # the job's lease decides about another try
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "io"
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_IMPORTS = ("annotations.tasks", "inference.tasks")

# Attempts to log in are counted here: with Redis, those at all web processes together.
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "labeler-cache",
        }
    }

# A job's kind names the Celery task that does it and the queue of the workers that may.
JOB_TASKS = {
    "ingest": ("annotations.tasks.run_ingest", "io"),
    "import": ("annotations.tasks.run_import", "io"),
    "export": ("annotations.tasks.run_export", "io"),
    "release": ("annotations.tasks.run_release", "io"),
    "consensus": ("annotations.tasks.run_consensus", "io"),
    "suspects": ("annotations.tasks.run_suspects", "io"),
    "prelabel": ("inference.tasks.run_prelabel", "batch"),
    "train": ("inference.tasks.run_train", "batch"),
}
JOB_LEASE_SECONDS = env.int("JOB_LEASE_SECONDS", default=60)
JOB_MAX_ATTEMPTS = 3

# --- API ----------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "annotations.api.authentication.TokenAuthentication",
        "annotations.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["annotations.api.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["annotations.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "annotations.api.errors.exception_handler",
}
KNOX_TOKEN_MODEL = "knox.AuthToken"  # noqa: S105 (the name of a model)
REST_KNOX = {"AUTH_HEADER_PREFIX": "Token", "TOKEN_TTL": None}
SPECTACULAR_SETTINGS = {
    "TITLE": "Labeler",
    "DESCRIPTION": "Projects, images, regions, predictions, reviews and exports.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "ImageStatus": "annotations.models.Image.Status",
        "AnnotationStatus": "annotations.models.Annotation.Status",
        "ProjectKind": "annotations.models.Project.Kind",
        "Role": "annotations.models.projects.Role",
        "Verdict": "annotations.models.Review.Verdict",
        "JobState": "annotations.models.Job.State",
        "JobKind": "annotations.models.Job.Kind",
        "Wanted": ["approved", "submitted", "all"],
        "TokenScope": "annotations.models.Scope",
        "AuditKind": "annotations.models.AuditEntry.Kind",
        "NotificationKind": "annotations.models.Notification.Kind",
        "WebhookEvent": "annotations.models.Event",
        "DeliveryState": "annotations.models.Delivery.State",
        "LeasePurpose": "annotations.models.Lease.Purpose",
        "LeaseState": "annotations.models.Lease.State",
        "ReviewRule": "annotations.models.ReviewRule",
        "SkipReason": "annotations.models.Lease.Reason",
        "SuspicionReason": "annotations.models.Suspicion.Reason",
        "SuspicionVerdict": "annotations.models.Suspicion.Verdict",
        "ModelState": "inference.models.ModelVersion.State",
    },
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
USE_I18N = False

LOGGING = logging.configuration(
    env.str("LOG_FORMAT", default="line"), env.str("LOG_LEVEL", default="INFO")
)
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
