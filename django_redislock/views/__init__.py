"""Views that run under a lock, and their busy responses. Only this package uses HTTP."""
