"""Database of a demo run: its tables, and the user for the admin."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

ADMIN = "admin"
EMAIL = "admin@demo.invalid"  # distinguishes the demo's own user from an earlier one


def prepare_database(password: str) -> None:
    """Migrate the database, and create the user ``admin`` with this password.

    Raises CommandError if that is impossible, or if the database has a user ``admin`` that was not
    created by a demo.
    """
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except OperationalError as error:
        raise CommandError(f"The database in DATABASE_URL cannot be used: {error}") from error
    user, _ = get_user_model().objects.get_or_create(
        username=ADMIN, defaults={"email": EMAIL, "is_staff": True, "is_superuser": True}
    )
    if user.email != EMAIL:
        raise CommandError(
            f"The database in DATABASE_URL has a user {ADMIN!r} that the demo did not create, and "
            "the demo would change its password. Give the demo a database of its own."
        )
    user.set_password(password)
    user.save()
    # The server processes are forked from this one, and a connection must not be shared.
    connections.close_all()
