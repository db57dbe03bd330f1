"""Wake-ups of waiters: one connection on which a process receives turns."""
