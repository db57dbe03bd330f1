"""Views that run under a lock, and their responses when it is busy."""
