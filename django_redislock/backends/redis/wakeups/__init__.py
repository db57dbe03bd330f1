"""Wake-ups of those who wait: one connection on which a process hears of turns."""
