"""Clusters, which are started once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_redislock import lock_backends
from tests.support.cluster import ClusterSet


@pytest.fixture(scope="package")
def cluster() -> Iterator[ClusterSet]:
    """Three primaries without replicas, none of which ends."""
    with ClusterSet() as cluster:
        yield cluster


@pytest.fixture(scope="package")
def replicated() -> Iterator[ClusterSet]:
    """Three primaries and their replicas; which is which changes."""
    with ClusterSet(replicas=3) as cluster:
        yield cluster


@pytest.fixture
def servers(cluster: ClusterSet, use: Callable[..., Any]) -> Iterator[ClusterSet]:
    use("", entry=cluster.entry)
    yield cluster
    lock_backends["default"].close()


@pytest.fixture
def failing(replicated: ClusterSet, use: Callable[..., Any]) -> Iterator[ClusterSet]:
    # A grant lease that is longer than a failover on a busy machine.
    use("", entry=replicated.entry | {"OPTIONS": {"grant_lease": 60}})
    yield replicated
    lock_backends["default"].close()
    # A test that failed in between must not fail those after it.
    replicated.restore()
