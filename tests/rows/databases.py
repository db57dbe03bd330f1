"""The databases that a fence is tested on."""

from __future__ import annotations

import pytest

ON_EACH = pytest.mark.parametrize(
    "database",
    [
        pytest.param("default", marks=pytest.mark.django_db(transaction=True)),
        pytest.param(
            "postgresql",
            marks=[
                pytest.mark.postgresql,
                pytest.mark.django_db(transaction=True, databases=["default", "postgresql"]),
            ],
        ),
        pytest.param(
            "mariadb",
            marks=[
                pytest.mark.mariadb,
                pytest.mark.django_db(transaction=True, databases=["default", "mariadb"]),
            ],
        ),
    ],
)
