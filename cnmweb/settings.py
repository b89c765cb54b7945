"""Settings, all from the environment. ``docs/settings.md`` explains each variable."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

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
CSRF_FAILURE_VIEW = "networks.pages.views.session.refuse_form"

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
    "networks",
]
AUTH_USER_MODEL = "networks.User"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "networks.pages.security.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "networks.pages.which_host.HostInAddress",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "networks.pages.preferences.PersonsOwn",
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


DATABASE_PATIENCE = {
    "connect_timeout": "10",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
}
"""libpq's words for how soon a connection that nobody answers is given up, so that a host
whose cable or address changed is back in seconds."""
DATABASE_SERVER_PATIENCE = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "idle_in_transaction_session_timeout": "60000",
}
"""PostgreSQL's words for how soon it gives up a host that does not answer. One writes at a time: a host that is cut off in
the middle of a change would keep all others from writing, for two hours by the usual settings of a kernel."""


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
            "PASSWORD": unquote(parts.password or "") or env.text("CNM_DATABASE_PASSWORD"),
            "HOST": unquote(parts.hostname or ""),
            "PORT": parts.port or "",
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            # libpq's own words: sslmode, sslrootcert, sslcert, sslkey, …
            "OPTIONS": {
                **DATABASE_PATIENCE,
                "options": " ".join(f"-c {name}={value}" for name, value in DATABASE_SERVER_PATIENCE.items()),
                **dict(parse_qsl(parts.query)),
            },
        }
    raise env.BadSetting("CNM_DATABASE_URL", url, "give sqlite:///path or postgres://user:password@host/name")


DATABASE_URL = env.text("CNM_DATABASE_URL") or f"sqlite://{DATA_DIR}/cnm.sqlite3"
DATABASES = {"default": _database(DATABASE_URL)}
SHARED_DATABASE_URL = env.text("CNM_SHARED_DATABASE_URL")
"""How hosts that join reach the database; empty: as this one does."""
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.text("CNM_REDIS_URL") or f"unix://{RUN_DIR}/redis/redis.sock"
if REDIS_URL.startswith("rediss://") and "ssl_cert_reqs=" not in REDIS_URL:
    # Celery refuses to guess, and who asks for TLS wants to know whom they speak to.
    REDIS_URL += ("&" if "?" in REDIS_URL else "?") + "ssl_cert_reqs=required"
SHARED_REDIS_URL = env.text("CNM_SHARED_REDIS_URL")
"""How hosts that join reach Redis; empty: as this one does."""


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
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
"""Each in its own words. One more needs a catalogue below ``locale/`` (``make messages`` begins it)."""
FORMAT_MODULE_PATH = "cnmweb.formats"
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [("dist", BASE_DIR / "static" / "dist")] if (BASE_DIR / "static" / "dist").is_dir() else []
WHITENOISE_IMMUTABLE_FILE_TEST = r"^.*/dist/.+-[0-9A-Za-z]{8,10}\.(js|css|svg)$"
"""What the build names by its content, and what browsers therefore never ask for again."""
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
    "DEFAULT_PARSER_CLASSES": ["networks.api.json_media.JsonParser"],
    "EXCEPTION_HANDLER": "networks.api.problems.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "CNM Web",
    "VERSION": VERSION,
    "DESCRIPTION": "Docker's Container Network Model for Linux hosts: networks, containers, ports, links, and every rule with its reason.",
    "SERVE_INCLUDE_SCHEMA": False,
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
    "underlay": env.underlay("CNM_UNDERLAY"),
    "vxlan_port": env.integer("CNM_VXLAN_PORT", 4789, least=1024, most=49151),
    "encrypted_port": env.integer("CNM_VXLAN_ENCRYPTED_PORT", 4790, least=1024, most=49151),
}
if HOST_SETTINGS["encrypted_port"] == HOST_SETTINGS["vxlan_port"]:
    wanted = "it is CNM_VXLAN_PORT already, and encrypted networks have a port of their own: give another one"
    raise env.BadSetting("CNM_VXLAN_ENCRYPTED_PORT", str(HOST_SETTINGS["encrypted_port"]), wanted)
KEY_ROTATION_HOURS = env.integer("CNM_KEY_ROTATION_HOURS", 24, least=1, most=24 * 365)
"""How long hosts encrypt by one key before they exchange it for another."""
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
GLOBAL_ADDRESS_POOLS = env.pools("CNM_GLOBAL_ADDRESS_POOLS", (("10.0.0.0/8", 24),))
"""Where networks that span hosts take their subnets from; libnetwork's default for global scope."""
BIND_ALLOWLIST = env.words("CNM_BIND_ALLOWLIST")
"""Host folders below which bind mounts are allowed for operators; empty: nobody but admins."""
WRITE_WAIT_S = env.integer("CNM_WRITE_WAIT_SECONDS", 30, least=1, most=600)
"""How long a write waits for the kernel before it answers 202."""
KEEP_HISTORY_DAYS = env.integer("CNM_KEEP_HISTORY_DAYS", 90, least=1, most=36500)
"""How long ended operations, the activity log and resolved drift are kept."""
KEEP_HISTORY_ROWS = env.integer("CNM_KEEP_HISTORY_ROWS", 50_000, least=100, most=10_000_000)
"""How many rows of each of them at most, whatever their age."""
KEEP_EVENTS = env.integer("CNM_KEEP_EVENTS", 10_000, least=100, most=1_000_000)
"""Events kept for pages that were away, and for the topology's past; a page that missed more takes a new snapshot."""
KEEP_RULES_MIB = env.integer("CNM_KEEP_RULES_MIB", 64, least=1, most=100_000)
"""How much room the rules of the past may take, compressed."""
TERMINAL_KEEP_S = 60 * env.integer("CNM_TERMINAL_KEEP_MINUTES", 10, least=1, most=24 * 60)
"""How long a terminal that nobody is connected to goes on."""
TERMINAL_IDLE_S = 60 * env.integer("CNM_TERMINAL_IDLE_MINUTES", 60, least=1, most=7 * 24 * 60)
"""How long one goes on in which nobody types."""
TERMINALS_PER_USER = env.integer("CNM_TERMINALS_PER_USER", 8, least=1, most=1000)
TERMINALS_MOST = env.integer("CNM_TERMINALS_MOST", 64, least=1, most=1000)
"""Open terminals of one host."""
KEEP_CAPTURES_HOURS = env.integer("CNM_KEEP_CAPTURES_HOURS", 24, least=1, most=24 * 365)
"""How long files of packet captures are kept."""
HEARTBEAT_STALE_S = 15
PLUGIN_FOLDERS = env.words(
    "CNM_PLUGIN_FOLDERS", ("/run/docker/plugins", "/etc/docker/plugins", "/usr/lib/docker/plugins")
)
"""Where plugins of others are looked for, the first that knows a name first; Docker's own folders."""
PLUGIN_TIMEOUT_S = env.integer("CNM_PLUGIN_TIMEOUT_SECONDS", 5, least=1, most=60)
"""How long one call of a plugin may take. It holds up the whole host, so it is short."""

DOCKER_PLUGIN = env.text("CNM_DOCKER_PLUGIN")
"""Where the networks of this host are offered to its Docker Engine (networks.docker_plugin); empty: nowhere."""

# The Docker Engine API (networks.engine).
DOCKER_GROUP = env.text("CNM_DOCKER_GROUP") or "cnm"
"""The group whose members may open docker.sock."""
DOCKER_ROLE = env.choice("CNM_DOCKER_ROLE", "operator", ("viewer", "operator", "admin"))
"""What they may do there; root is an admin."""
DOCKER_TCP = env.bind("CNM_DOCKER_TCP", "") if env.text("CNM_DOCKER_TCP") else None
"""Where clients with certificates are answered too; None: nowhere."""
DOCKER_TCP_ROLE = env.choice("CNM_DOCKER_TCP_ROLE", "operator", ("viewer", "operator", "admin"))
DOCKER_TLS_CERT = env.text("CNM_DOCKER_TLS_CERT")
DOCKER_TLS_KEY = env.text("CNM_DOCKER_TLS_KEY")
DOCKER_TLS_CA = env.text("CNM_DOCKER_TLS_CA")
if DOCKER_TCP and not (DOCKER_TLS_CERT and DOCKER_TLS_KEY and DOCKER_TLS_CA):
    wanted = "give CNM_DOCKER_TLS_CERT, CNM_DOCKER_TLS_KEY and CNM_DOCKER_TLS_CA too: without certificates anybody would be root here"
    raise env.BadSetting("CNM_DOCKER_TCP", env.text("CNM_DOCKER_TCP"), wanted)
