"""``@locked``: functions that one caller at a time may run."""
