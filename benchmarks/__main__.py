"""``python -m benchmarks``: speed and fairness beside other locks, as ratios of one run."""

# The processes that measure import this module again, so it imports nothing at its top.

if __name__ == "__main__":
    from .speed import main

    main()
