"""The locks that this process holds: holds, renewal, loss and shutdown."""
