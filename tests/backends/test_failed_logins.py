"""A server that refuses the password is not asked again and again: it may shut out who does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.exceptions import AuthenticationError

from django_redislock.backends.redis.commands import pack
from django_redislock.testing.servers import EmbeddedServer
from tests.backends.nodes import PING, node_at, opened
from tests.support.proxy import Proxy


@pytest.fixture
def guarded() -> Iterator[Proxy]:
    """Leads to a server that wants a password."""
    with (
        EmbeddedServer(args=("--requirepass", "secret")) as server,
        Proxy(server.url) as proxy,
    ):
        yield proxy


def test_a_new_connection_that_is_refused_is_not_tried_again(guarded: Proxy) -> None:
    node = node_at(guarded.url.replace("secret", "wrong"))
    with pytest.raises(AuthenticationError):
        node.exchange([PING])
    assert guarded.opened == 1
    node.close()


def test_an_old_one_is_because_the_credentials_may_have_changed(guarded: Proxy) -> None:
    node = node_at(guarded.url)
    node.exchange([pack("RESET")])  # which logs out
    assert node.exchange([PING]) == ([b"PONG"], True)
    assert opened(node) == 1
    assert guarded.opened == 2
    node.close()
