"""Description of the machine that a benchmark ran on."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from redis import Redis

__all__ = ["describe"]

PACKAGES = (
    "django-redislock",
    "Django",
    "django-redis",
    "redis",
    "hiredis",
    "python-redis-lock",
    "pottery",
)


def describe(client: Redis) -> list[str]:
    """Return lines on machine, Python, server, packages and load. Call it before anything runs."""
    load = " ".join(f"{one:.2f}" for one in os.getloadavg())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return [
        f"{datetime.now(timezone.utc):%Y-%m-%d}",
        f"{_processor()}, {_cores()}, {platform.system()} {platform.release()}",
        f"{python}, {_server(client)} over TCP",
        ", ".join(f"{package} {_version(package)}" for package in PACKAGES),
        f"load average at the start: {load}",
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> str:
    count = os.cpu_count() or 1
    return f"{count} core" if count == 1 else f"{count} cores"


def _server(client: Redis) -> str:
    info = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
