"""Messages for the errors of connections and servers."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    ConnectionError as RedisConnectionError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    RedisError,
    TimeoutError as RedisTimeoutError,
    TryAgainError,
)
from redis.sentinel import MasterNotFoundError

from ...exceptions import LockError, LockUnavailable
from ...process import NoThread
from .errors import (
    NoAnswer,
    NotAcknowledged,
    NotAsked,
    ServerAway,
    is_busy,
    is_of_tls,
    was_sent,
)

__all__ = ["described", "hangs", "happened", "naming", "remedy", "state_of", "unavailable"]

# redis-py's message when it could not connect.
_NOT_CONNECTED = re.compile(r"Error (-?\d+) connecting to .*?\. (.*)", re.DOTALL)

# The same for a port, and an error that only the files for TLS have.
_NO_FILE = re.compile(rf"Error (?:{errno.ENOENT}|{errno.EISDIR}) connecting to [^/]\S*:\d+\. ")

# redis-py's messages when it had connected, and then got no data, or the connection was closed.
_NO_ANSWER = re.compile("Timeout (reading|writing)")
_CLOSED = re.compile("Connection closed by server|Error while reading from")

# Our own texts for a connection that ended during a request, which was its second one.
_CUT = re.compile("The server closed the connection|The connection was cut")

# OpenSSL's messages when the other side does not speak TLS.
_WITHOUT_TLS = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNEXPECTED_EOF")

# What a source is called that speaks TLS.
_BY_TLS = re.compile(r"rediss://| by TLS\b")
SPEAKS_TLS = 'rediss:// and "ssl" speak TLS; if this port does not, write redis://, or omit "ssl".'
NEEDS_TLS = 'One that wants TLS needs rediss://, or "ssl": True for Sentinels and a Cluster.'

# Replies of servers that are in no state to grant a lock, and what to do about it.
_STATES = {
    re.compile("NOREPLICAS|Not enough good replicas"): (
        "has too few replicas in step to accept writes (NOREPLICAS). Repair the replicas, or lower "
        "min-replicas-to-write"
    ),
    re.compile("replicas acknowledged"): (
        "has too few replicas that acknowledge a grant in time. Repair the replicas, or lower "
        "OPTIONS['replicas']"
    ),
    re.compile("MISCONF"): (
        "accepts no writes, because it cannot save its data (MISCONF). Its log says why: the disk "
        "may be full, or its directory not writable"
    ),
    re.compile("used memory > 'maxmemory'"): (
        "accepts no writes, because its used memory has reached maxmemory (OOM). Raise maxmemory, "
        "or remove from the server what does not belong to the locks"
    ),
    re.compile("cluster is down|Hash slot not served|No (node|slot) of the Cluster"): (
        "cannot serve this lock: the Cluster has lost its majority, or some slots have no node "
        "(CLUSTERDOWN). `redis-cli --cluster check` shows which nodes to repair"
    ),
    re.compile("Link with MASTER is down"): (
        "is a replica that has lost its primary: name the primary, or Sentinels, which know it"
    ),
}

# Replies to users that lack a right, also from scripts.
_FORBIDDEN = re.compile("No permissions to|has no permissions|script can't run this|NOPERM")

# Replies of servers for which the settings are wrong.
_SENTINEL_UNKNOWN = re.compile("unknown command .SENTINEL")
_IS_SENTINEL = re.compile("unknown command .(EVAL|TIME)")
_KNOWS_NO_CLUSTER = re.compile("unknown command .CLUSTER", re.IGNORECASE)
_ASKS_FOR_NONE = re.compile("called without any password configured")
_LOGIN = {
    re.compile("Authentication required|HELLO must|unauthenticated"): "asks for a password: add it",
    re.compile("invalid username-password|AuthenticationError"): "refuses the user or password",
    re.compile("DB index is out of range"): "has no database with the number in the settings",
}
_REFUSALS = {
    _ASKS_FOR_NONE: "asks for no password, and the settings give one: leave it out",
    **_LOGIN,
    re.compile("read only replica"): "is a replica: name its primary, or Sentinels, which know it",
    re.compile("unknown command .HELLO"): (
        'does not know RESP3. Write "protocol": 2 in OPTIONS, or ?protocol=2 behind the location'
    ),
    _KNOWS_NO_CLUSTER: (
        "does not know the command CLUSTER. If it is a Sentinel, write "
        "sentinel://host:26379/service/0; if it is no node of a Cluster, redis://host:6379/0"
    ),
}


def unavailable(where: str, at: str, name: str, error: Exception) -> LockUnavailable:
    """Return the error for a failed command about a name, or about all names if it is empty.

    ``where`` names the entry of the settings, ``at`` the address of the server.
    """
    what = f"The lock {name!r}" if name else "The list of locks"
    why = str(error)
    if not isinstance(error, NotAcknowledged):
        why = described(where, at, error)
    return LockUnavailable(
        f"{what} is unavailable: {why.removesuffix('.')}.",
        name=name,
        asked=not isinstance(error, ServerAway) or was_sent(error),
        sent=was_sent(error),
    )


@contextmanager
def naming(where: str, at: str, name: str) -> Iterator[None]:
    """Turn errors inside the block into those of a command for this name."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise unavailable(where, at, name, error) from error
    except NoThread as error:
        raise LockError.of(
            name,
            f"cannot be waited for: the thread that receives hand-overs cannot start ({error})",
        ) from error


def happened(at: str, error: Exception) -> str:
    """Describe what a server did, as the predicate of a sentence that begins with the server."""
    at = vars(error).get("at", at)
    # For a Sentinel that does not answer, redis-py's message contains the whole client.
    said = str(error).partition(" : <")[0]
    if isinstance(error, NotAsked):
        return f"at {at} was not asked: {said}"
    if isinstance(error, MovedError):
        return (
            f"at {at} is a node of a Cluster, where other nodes have other locks. Name some of "
            "them in LOCATION: cluster://host:6379,host:6379"
        )
    if isinstance(error, TryAgainError):
        return f"is moving these locks from one node to another, and has not finished: {said}"
    if isinstance(error.__cause__, UnicodeError):
        return f"cannot be found at {at}: {said}"
    if _has_answered(error):
        return _refused(at, error, said)
    return _absent(at, error, said)


def described(where: str, at: str, error: Exception) -> str:
    """Return a sentence about the server at ``where``, and a hint about TLS if that may help."""
    return f"Redis ({where}) {happened(at, error).removesuffix('.')}{_advice(where, error)}"


def _advice(where: str, error: Exception) -> str:
    """Return a next sentence if the server may not speak the TLS that it is asked for; else empty.

    A server without TLS waits for more data, so the handshake ends with a time-out.
    """
    may_wait = _BY_TLS.search(where) and _timed_out(error) and not hangs(error)
    if may_wait or _WITHOUT_TLS.search(str(error)):
        return f". {SPEAKS_TLS}"
    return ""


def remedy(error: Exception) -> str:
    """Return what to correct in the settings if the server answers but refuses; else empty."""
    said = str(error)
    if any(one.search(said) for one in (_SENTINEL_UNKNOWN, _IS_SENTINEL, _KNOWS_NO_CLUSTER)):
        return "correct the scheme or the address in"
    if _ASKS_FOR_NONE.search(said):
        return "leave the password out of"
    if isinstance(error, NoPermissionError) or _FORBIDDEN.search(said):
        return "give the rights that the documentation of the backend lists to the user of"
    if _is_of_login(error) or any(reply.search(said) for reply in _LOGIN):
        return "correct user, password and database number in"
    return ""


def state_of(error: Exception) -> str:
    """Return what keeps a server from granting any lock, and what to do; else empty."""
    said = str(error)
    return next((state for reply, state in _STATES.items() if reply.search(said)), "")


def _absent(at: str, error: Exception, said: str) -> str:
    """Describe what a server did that has not answered."""
    if isinstance(_met(error), MasterNotFoundError) and said == str(error):
        return f"has no primary, or not under this name, as {at} say: {said}"
    if hangs(error):
        return (
            f"at {at} accepted the connection and gave no answer in time: it hangs, is overloaded "
            f"or cut off. {said}"
        )
    if _CLOSED.match(said) and not is_of_tls(error):
        return (
            f"at {at} accepted the connection and closed it: is it a Redis server? {NEEDS_TLS} "
            f"{said}"
        )
    if _CUT.match(said) and not is_of_tls(error):
        return f"at {at} cut the connection: is it restarting, or does a proxy close it? {said}"
    if missing := _NO_FILE.match(said):
        return (
            f"cannot be connected to at {at}: a file that the settings name, such as ssl_ca_certs, "
            f"cannot be read: {said[missing.end() :]}"
        )
    if failed := _NOT_CONNECTED.match(said):
        number, said = failed[1], failed[2].removesuffix(".")
        if number.startswith("-"):
            return f"cannot be found at {at}: {said}"
    if is_of_tls(error):
        return f"cannot be connected to at {at}: {said}"
    may_hang = _timed_out(error) and not said.startswith("Timeout connecting")
    asked = "is it running, or does it hang?" if may_hang else "is it running?"
    return f"does not answer at {at}; {asked} {said}"


def hangs(error: Exception) -> bool:
    """Whether the server is known to have accepted the connection that timed out."""
    return isinstance(_met(error), NoAnswer) or _NO_ANSWER.match(str(error)) is not None


def _timed_out(error: Exception) -> bool:
    return isinstance(_met(error), RedisTimeoutError)


def _met(error: Exception) -> BaseException | None:
    """Return the original error, of this request or of the earlier one that opened the breaker."""
    return error.__cause__ if isinstance(error, ServerAway) else error


def _has_answered(error: Exception) -> bool:
    if is_busy(error) or _is_of_login(error):
        return True
    return not isinstance(error, (RedisConnectionError, RedisTimeoutError))


def _is_of_login(error: Exception) -> bool:
    # redis-py puts the errors of Sentinels into the text of its own.
    return isinstance(error, AuthenticationError) or "AuthenticationError" in str(error)


def _refused(at: str, error: Exception, said: str) -> str:
    """Describe what a server did that has answered."""
    if isinstance(error, InvalidResponse):
        return f"at {at} did not answer as a Redis server does: {said}"
    if _SENTINEL_UNKNOWN.search(said):
        return "is not a Sentinel. Name the Sentinels (port 26379), or write redis://host:6379/0"
    if _IS_SENTINEL.search(said):
        return (
            f"at {at} runs no scripts. If it is a Sentinel, write sentinel://host:26379/service/0"
        )
    for reply, meaning in _REFUSALS.items():
        if reply.search(str(error)):
            return f"at {at} {meaning}"
    if state := state_of(error):
        return f"at {at} {state}"
    if _FORBIDDEN.search(said):
        return (
            f"at {at} refuses that to the user in the settings, who needs the rights that the "
            f"documentation of the backend lists: {said}"
        )
    return f"did not carry out the request: {said}"
