"""Demo: many buyers at several server processes, without and with a lock."""

HOST = "127.0.0.1"
