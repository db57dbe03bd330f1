"""Settings of the commands that tests start: few apps, and the key prefix of the test."""

from __future__ import annotations

import os

REDIS_URL = os.environ["REDISLOCK_TEST_REDIS_URL"]
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL}}
LOCKS = {"default": {"KEY_PREFIX": os.environ["REDISLOCK_TEST_PREFIX"]}}
INSTALLED_APPS = ["django_redislock", "tests.commands.jobs"]
SECRET_KEY = "for tests only"
USE_TZ = True
