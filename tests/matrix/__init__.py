"""Matrix of the releases that are claimed to work: where they come from, and what was run."""
