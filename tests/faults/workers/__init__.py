"""Workers: the processes that use locks, and faults from within them."""
