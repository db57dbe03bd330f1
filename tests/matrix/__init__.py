"""Matrix of supported releases: their sources, and the results of the tests."""
