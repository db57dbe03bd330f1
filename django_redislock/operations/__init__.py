"""What an operator looks for and does, in the admin and at a terminal alike."""
