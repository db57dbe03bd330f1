"""Settings of the example. The part of interest is ``LOCKS``, at the top."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent

# All but CACHE have these values anyway. LEASE, WAIT, RENEW and MAX_HOLD can also be set per lock.
LOCKS = {
    "default": {
        "BACKEND": "django_redislock.backends.redis.RedisLockBackend",
        "CACHE": "locks",  # where the server is
        "KEY_PREFIX": "lock",  # projects that share a Redis each need their own prefix
        "LEASE": 10,  # seconds after which the hold of a dead process ends by itself
        "WAIT": 10,  # seconds to wait in the queue for a busy lock
        "RENEW": True,  # extend the lease while the work goes on ...
        "MAX_HOLD": None,  # ... but for no more than this many seconds; None: no limit
    }
}

# The locks have a cache alias, and so a database, of their own: cache.clear() would end them.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "locks": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0",
        # A Redis that is down or slow should delay a visitor by a few seconds at most.
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 2, "SOCKET_TIMEOUT": 5},
    },
}

# DATABASE_URL=postgres://user@host/name for PostgreSQL
if database_url := os.environ.get("DATABASE_URL"):
    try:
        DATABASES = {"default": dj_database_url.parse(database_url, conn_max_age=60)}
    except ValueError as error:
        raise ImproperlyConfigured(
            "DATABASE_URL is not understood: write postgres://user@host/name, for example."
        ) from error
else:
    DATABASES = {
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Four processes write to one file, so let a writer wait instead of failing with "database is
    # locked". This does not make the unguarded sale safe.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }


def seconds(variable: str, default: float) -> float:
    """Return a duration from the environment."""
    text = os.environ.get(variable) or str(default)
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise ImproperlyConfigured(
        f"{variable} is {text!r}: write a number of seconds such as {default}."
    )


# How long the work of the ticket office takes.
CHARGE_SECONDS = seconds("CHARGE_SECONDS", 0.1)
REPORT_SECONDS = seconds("REPORT_SECONDS", 5)

# Where buyers are sent, as host:port. If empty, the process that serves the page handles them.
BOX_OFFICES = os.environ.get("BOX_OFFICES", "").split()

DEBUG = True
SECRET_KEY = os.environ.get("SECRET_KEY", "an example has no secrets; your project does")
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_redislock",
    "example_project.tickets",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "example_project.tickets.middleware.LockErrorsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
TIME_ZONE = "UTC"
