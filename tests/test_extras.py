"""Integrations whose packages come with an extra of the distribution."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "missing"),
    [
        ("metrics.prometheus", "prometheus_client"),
        ("metrics.opentelemetry", "opentelemetry"),
        ("traces.sentry", "sentry_sdk"),
        ("traces.opentelemetry", "opentelemetry"),
    ],
)
def test_without_the_extra_the_error_says_what_to_install(module: str, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import django_redislock.{module}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 1
    extra = module.rpartition(".")[2]
    assert f"pip install django-redislock[{extra}]" in done.stderr.splitlines()[-1]
