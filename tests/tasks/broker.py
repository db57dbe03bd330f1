"""Celery with the suite's Redis as broker, under a separate key prefix."""

from __future__ import annotations

from celery import Celery


def celery(url: str, prefix: str) -> Celery:
    """The app: for a worker, and for the test that sends it tasks."""
    app = Celery("tests", set_as_current=False)
    keys = {"global_keyprefix": f"{prefix}:celery:"}
    app.conf.update(
        broker_url=url,
        result_backend=url,
        broker_transport_options=keys,
        result_backend_transport_options=keys,
        broker_connection_retry_on_startup=True,
        task_time_limit=50,
        worker_prefetch_multiplier=1,
    )
    return app
