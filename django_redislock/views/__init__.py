"""Views that run under a lock, and the answers of busy ones. HTTP lives here only."""
