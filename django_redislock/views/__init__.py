"""Views that run under a lock, and what a client is told when it is busy. HTTP lives here only."""
