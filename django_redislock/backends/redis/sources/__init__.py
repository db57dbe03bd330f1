"""Where the server is, as the settings say it: a cache, a location, Sentinels."""
