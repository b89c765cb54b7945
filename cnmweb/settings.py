"""Settings, all from the environment. ``docs/settings.md`` explains each variable."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.management.utils import get_random_secret_key

from . import env

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

STATE_DIR = env.folder("CNM_STATE_DIR", "/var/lib/cnm")
"""Database, images, containers: survives a reboot."""
RUN_DIR = env.folder("CNM_RUN_DIR", "/run/cnm")
"""Sockets, locks, ledgers: gone after a reboot, as the kernel's state is."""

DATA_DIR = STATE_DIR / "db"
"""Database and secret key: the product's own user writes here, and nowhere else below the state folder."""

DEBUG = env.flag("CNM_DEBUG", False)


def _secret_key() -> str:
    """The key given, or the one kept in the state folder, made at the first start."""
    given = env.text("CNM_SECRET_KEY")
    if given:
        return given
    kept = DATA_DIR / "secret_key"
    try:
        return kept.read_text().strip()
    except FileNotFoundError:
        pass
    except PermissionError as error:
        raise SystemExit(f"{kept} cannot be read by this user: run as the product's own user or as root.") from error
    key = get_random_secret_key()
    try:
        DATA_DIR.mkdir(mode=0o750, exist_ok=True)
        handle = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:
        return kept.read_text().strip()
    except OSError:
        return key  # nowhere to keep it: good for one process, such as a linter or `compilemessages`
    with os.fdopen(handle, "w") as file:
        file.write(key)
    return key


SECRET_KEY = _secret_key()
BIND = env.bind("CNM_BIND", "127.0.0.1:8000")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_BOUND = f"[{BIND[0]}]" if ":" in BIND[0] else BIND[0]
# Always under the names by which only this host itself finds it (supervisors ask there), and under the one address that it listens on.
ALLOWED_HOSTS = list(dict.fromkeys((*env.words("CNM_ALLOWED_HOSTS"), *_LOOPBACK, _BOUND)))
CSRF_TRUSTED_ORIGINS = list(env.words("CNM_TRUSTED_ORIGINS"))

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "networks",
]
AUTH_USER_MODEL = "networks.User"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "networks.pages.security.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "cnmweb.urls"
ASGI_APPLICATION = "cnmweb.asgi.application"
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
                "networks.pages.context.console",
            ],
            "builtins": ["networks.pages.tags"],
        },
    }
]


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path),
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
            },
        }
    if parts.scheme in {"postgres", "postgresql"}:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": parts.port or "",
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        }
    raise env.BadSetting("CNM_DATABASE_URL", url, "give sqlite:///path or postgres://user:password@host/name")


DATABASES = {"default": _database(env.text("CNM_DATABASE_URL") or f"sqlite://{DATA_DIR}/cnm.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.text("CNM_REDIS_URL") or f"unix://{RUN_DIR}/redis/redis.sock"


def _celery_redis_url(url: str) -> str:
    """Celery spells a Unix socket ``redis+socket://``; redis-py and Channels say ``unix://``."""
    return url.replace("unix://", "redis+socket://", 1) if url.startswith("unix://") else url


CELERY_BROKER_URL = _celery_redis_url(REDIS_URL)
REDIS_PATIENCE_S = 3
"""How long one write to a Redis that does not answer may hold up whoever writes."""
# One try: a request waits for it, and the worker looks by itself when no message comes.
CELERY_BROKER_TRANSPORT_OPTIONS = {"max_retries": 0, "socket_timeout": REDIS_PATIENCE_S}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "cnm"},
    }
}

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
"""One more needs a catalogue below ``locale/``."""
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [("dist", BASE_DIR / "static" / "dist")] if (BASE_DIR / "static" / "dist").is_dir() else []
STATIC_ROOT = env.folder("CNM_STATIC_ROOT", str(BASE_DIR / "staticfiles"))

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.flag("CNM_TLS", False)
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 2**20
UPLOAD_DIR = STATE_DIR / "uploads"
"""Archives of images that people send with their browser, until the worker has taken them."""
UPLOAD_MAX_BYTES = env.integer("CNM_UPLOAD_MAX_MIB", 4096) * 2**20

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "networks.api.authentication.BearerAuthentication",
        "networks.api.authentication.BrowserAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "networks.api.problems.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "CNM Web",
    "VERSION": VERSION,
    "DESCRIPTION": "Docker's Container Network Model for Linux hosts: networks, containers, ports, links, and every rule with its reason.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v[0-9]",
}

# What this host should be: see networks.cnm.desired.HostSettings and docs/settings.md.
HOST_NAME = env.text("CNM_HOST_NAME", "local")
HOST_SETTINGS = {
    "names": env.choice("CNM_NAMES", "cnm", ("cnm", "docker")),
    "firewall": env.choice("CNM_FIREWALL", "auto", ("auto", "iptables", "nftables")),
    "iptables": env.flag("CNM_IPTABLES", True),
    "ip_forward": env.flag("CNM_IP_FORWARD", True),
    "ip_masq": env.flag("CNM_IP_MASQ", True),
    "userland_proxy": env.flag("CNM_USERLAND_PROXY", True),
    "hardening": env.flag("CNM_HARDENING", True),
    "dns": env.addresses("CNM_DNS"),
    "auto_repair": env.flag("CNM_AUTO_REPAIR", False),
    "embedded_dns": env.flag("CNM_EMBEDDED_DNS", True),
}
HOST_SETTINGS["ipam_order"] = env.choice(
    "CNM_IPAM_ORDER", "lowest" if HOST_SETTINGS["names"] == "docker" else "lru", ("lru", "lowest")
)
DEFAULT_BRIDGE = {
    "name": env.text("CNM_BRIDGE_NAME"),
    "bip": env.interface("CNM_BIP"),
    "fixed_cidr": env.network("CNM_FIXED_CIDR"),
    "mtu": env.integer("CNM_MTU", 0, most=65535),
    "icc": env.flag("CNM_ICC", True),
}
DEFAULT_ADDRESS_POOLS = env.pools(
    "CNM_DEFAULT_ADDRESS_POOLS",
    # libnetwork's default local pools (daemon/libnetwork/ipamutils): 15 x /16, then 16 x /20; and ULA for IPv6.
    (*((f"172.{second}.0.0/16", 16) for second in range(17, 32)), ("192.168.0.0/16", 20)),
)
BIND_ALLOWLIST = env.words("CNM_BIND_ALLOWLIST")
"""Host folders below which bind mounts are allowed for operators; empty: nobody but admins."""
WRITE_WAIT_S = env.integer("CNM_WRITE_WAIT_SECONDS", 30, least=1, most=600)
"""How long a write waits for the kernel before it answers 202."""
KEEP_HISTORY_DAYS = env.integer("CNM_KEEP_HISTORY_DAYS", 90, least=1, most=36500)
"""How long ended operations, the activity log and resolved drift are kept."""
KEEP_HISTORY_ROWS = env.integer("CNM_KEEP_HISTORY_ROWS", 50_000, least=100, most=10_000_000)
"""How many rows of each of them at most, whatever their age."""
KEEP_EVENTS = env.integer("CNM_KEEP_EVENTS", 10_000, least=100, most=1_000_000)
"""Events kept for pages that were away; one that missed more takes a new snapshot."""
HEARTBEAT_STALE_S = 15
