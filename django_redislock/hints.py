"""Hints on what to write instead of unknown options and of values that are no strings."""

from __future__ import annotations

from collections.abc import Collection

from .spelling import suggestion

__all__ = ["to_string", "unknown_option"]

# Options of other libraries, and what to write here instead.
ELSEWHERE = {
    "timeout": "lease= (how long an unrenewed hold lives) or wait= (how long to wait for it)",
    "expire": "lease=",
    "expires": "lease=",
    "ttl": "lease=",
    "auto_release_time": "lease=",
    "auto_renewal": "renew=",
    "blocking": "wait=0 for a lock that does not wait",
    "blocking_timeout": "wait=",
    "context_manager_timeout": "wait=",
    "nowait": "wait=0",
    "sleep": "nothing in its place, since waiters are woken and do not ask again",
    "thread_local": "nothing in its place, since each handle has a token of its own",
    "raise_on_release_error": "nothing in its place, and catch LockLost around the block",
    "side_effect": "@locked(name, on_busy=...), or take acquire(), which returns True or False",
    "xact": "nothing in its place, since a hold that is taken in atomic() lasts until its end",
    "id": "lock(name, token=...) to act on another handle's hold, or label= to show who holds it",
    "skip_locked": "wait=0, which raises LockNotAcquired for what is held",
}


def unknown_option(name: str, known: Collection[str]) -> str:
    """Return the text of the error for an option that is not among the known ones."""
    if name in ELSEWHERE:
        return f"There is no option {name!r}: write {ELSEWHERE[name]}."
    if close := suggestion(name, known):
        return f"There is no option {name!r}. Did you mean {close!r}?"
    return f"There is no option {name!r}. The options are {', '.join(known)}."


def to_string(value: object) -> str:
    """Return the end of an error for a value that is no string: how to make one of it."""
    if hasattr(value, "get_lock_name"):
        return "; write its get_lock_name()"
    if hasattr(value, "acquire"):  # a handle
        return "; write its name"
    if isinstance(value, bytes):
        return "; write .decode() after it"
    if callable(value):
        return "; call it: write (...) after it"
    if value is None or isinstance(value, (bool, Collection)):
        return ""  # nobody wants the text of such a value as a name or a label
    return "; write str(...) around it"
