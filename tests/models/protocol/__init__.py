"""Model of the lock protocol: one bucket of a server, its clients and their messages."""
