"""Settings of the servers and workers that tests start, with the key prefix of the test."""

from __future__ import annotations

import os

REDIS_URL = os.environ["REDISLOCK_TEST_REDIS_URL"]
PREFIX = os.environ["REDISLOCK_TEST_PREFIX"]
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL}}
LOCKS = {"default": {"KEY_PREFIX": PREFIX, "LEASE": 60}}
INSTALLED_APPS = ["django_redislock"]
ROOT_URLCONF = "tests.tasks.site"
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "for tests only"
USE_TZ = True
