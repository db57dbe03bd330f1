"""The settings of the example; ``LOCKS`` at the top is what it is about."""

from __future__ import annotations

import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent

# With no LOCKS at all the values below are the defaults; each of them can also be given per lock.
LOCKS = {
    "default": {
        "BACKEND": "django_redislock.backends.redis.RedisLockBackend",
        "CACHE": "default",  # the django-redis cache whose connections are used
        "KEY_PREFIX": "lock",  # several projects on one Redis: one prefix each
        "LEASE": 10,  # seconds until the hold of a process that died ends by itself
        "WAIT": 10,  # seconds to queue for a lock that another holds
        "RENEW": True,  # extend the lease for as long as the work goes on ...
        "MAX_HOLD": None,  # ... but no longer than this many seconds; None: for as long as it takes
    }
}

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0",
        # A Redis that is down or far away should cost a visitor seconds at most.
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 2, "SOCKET_TIMEOUT": 5},
    }
}

# DATABASE_URL=postgres://user@host/name for PostgreSQL
if database_url := os.environ.get("DATABASE_URL"):
    DATABASES = {"default": dj_database_url.parse(database_url, conn_max_age=60)}
else:
    DATABASES = {
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Four processes write to one file: let a writer wait for its turn instead of failing with
    # "database is locked". This keeps the file in order, and does not save the naive sale.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }

# How long the ticket office's work takes, in seconds.
CHARGE_SECONDS = float(os.environ.get("CHARGE_SECONDS", "0.1"))
REPORT_SECONDS = float(os.environ.get("REPORT_SECONDS", "5"))

# Where buyers are sent, as host:port; with none they come to the process that serves the page.
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
ASGI_APPLICATION = "example_project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
TIME_ZONE = "UTC"
USE_TZ = True
