"""``python -m benchmarks``: speed and fairness compared with other locks, as ratios of one run."""

# Nothing is imported at the top, because the measuring processes import this module again.

if __name__ == "__main__":
    from .speed import main

    main()
