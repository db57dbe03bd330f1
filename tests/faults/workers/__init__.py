"""Workers: the processes that use locks, and what befalls them from within."""
