"""What wakes those who wait: one connection on which a process hears of turns."""
