"""Settings of the test suite.

Environment variables point it at other servers: `REDISLOCK_TEST_REDIS_URL` (without it the
suite starts a server of its own), `REDISLOCK_TEST_DATABASE_URL` (without it SQLite in memory),
`REDISLOCK_TEST_POSTGRESQL_URL` and `REDISLOCK_TEST_MARIADB_URL` (without them 127.0.0.1).
"""

from __future__ import annotations

import os

import dj_database_url
import pymysql

from django_redislock.testing.servers import free_port

pymysql.install_as_MySQLdb()  # the usual driver, mysqlclient, needs a compiler

REDIS_URL_VARIABLE = "REDISLOCK_TEST_REDIS_URL"


# Django reads its settings before any conftest is loaded, so the address is chosen here and the
# server is started on it by conftest. The variable carries the address to every process that a
# test or pytest-xdist starts: those find it set, and start no server of their own.
EMBEDDED_REDIS_PORT = None if os.environ.get(REDIS_URL_VARIABLE) else free_port()
if EMBEDDED_REDIS_PORT is not None:
    os.environ[REDIS_URL_VARIABLE] = f"redis://127.0.0.1:{EMBEDDED_REDIS_PORT}/0"
REDIS_URL = os.environ[REDIS_URL_VARIABLE]


def _database(variable: str, default: str) -> dj_database_url.DBConfig:
    config = dj_database_url.parse(os.environ.get(variable) or default)
    if "sqlite" not in config["ENGINE"]:
        # Two suites may run at once against one server.
        config["TEST"] = {"NAME": f"test_redislock_{os.getpid()}"}
    return config


DATABASES = {
    "default": _database("REDISLOCK_TEST_DATABASE_URL", "sqlite://:memory:"),
    "postgresql": _database(
        "REDISLOCK_TEST_POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres"
    ),
    "mariadb": _database("REDISLOCK_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/mysql"),
}

CACHES = {
    "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL},
}
LOCKS = {
    "default": {
        "BACKEND": "django_redislock.backends.redis.RedisLockBackend",
        "CACHE": "default",
    },
    "memory": {"BACKEND": "django_redislock.backends.memory.MemoryLockBackend"},
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_redislock",
    "example_project.tickets",
    "tests.rows.bank",
    "tests.faults.victim",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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
ROOT_URLCONF = "tests.urls"
SECRET_KEY = "for tests only"
STATIC_URL = "static/"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, and guards nothing
