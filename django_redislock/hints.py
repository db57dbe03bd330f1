"""What to write instead of an option that does not exist."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .spelling import suggestion

__all__ = ["refuse_others", "unknown_option"]

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
    "id": "lock(name, token=...) to act on another handle's hold, or label= to show who holds it",
    "skip_locked": "wait=0, which raises LockNotAcquired for what is held",
}

# Options that only some callables have.
ONLY_OF = {
    "on_busy": "@locked, @locked_method and @locked_view",
    "default": "@locked and @locked_method",
    "refresh": "@locked_method and the locked() of rows",
    "status": "@locked_view",
    "methods": "@locked_view",
    "on_unavailable": "@locked_view",
}


def unknown_option(name: str, known: Collection[str]) -> str:
    """Return the text of the error for an option that is not among the known ones."""
    if name in ELSEWHERE:
        return f"There is no option {name!r}: write {ELSEWHERE[name]}."
    if close := suggestion(name, known):
        return f"There is no option {name!r}. Did you mean {close!r}?"
    if name in ONLY_OF:
        return f"There is no option {name!r} here: it belongs to {ONLY_OF[name]}."
    return f"There is no option {name!r}. The options are {', '.join(known)}."


def refuse_others(decorator: str, others: Sequence[object]) -> None:
    """Raise ``TypeError`` for further positional arguments of a decorator."""
    if others:
        raise TypeError(
            f"{decorator} takes a name or a list of names, and options as keywords: "
            f'{decorator}(["a", "b"], wait=5).'
        )
