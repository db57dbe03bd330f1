"""Worker whose threads are greenlets."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from tests.faults.workers.worker import main  # noqa: E402 - nothing may be imported before the patches

if __name__ == "__main__":
    main()
