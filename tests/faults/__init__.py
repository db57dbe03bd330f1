"""Faults under load: workers use locks while something breaks, and a judge looks on.

    command.py      the command line: which faults, for how long, and where the table goes
    catalogue.py    all faults by name
    causes/         one class a fault: what breaks, how often, and what may come of it
    sites.py        the servers that it befalls: one, a Cluster, behind a proxy, with a clock ...
    run.py          one run from its start to its report
    scene.py        what a run consists of: servers, database, workers, history
    workers/        the processes that use locks
        workload.py     what their threads and tasks do with locks, at random
        writing.py      what they write to rows meanwhile
        injections.py   what interrupts them from within
    history.py      what they have noted: one line an event, with the clock that all share
    victim/         the rows that they write, and their database
    checker.py      what a history must not show: overlaps, falling fences, errors
    waits.py        ... attempts that starve, waits that are not exact
    writes.py       ... stale writes, lost updates
    availability.py how long a name was wanted and nobody had it
    report.py       the figures of a run, and the table
    page.py         the page of the documentation that shows it

A run starts a site and workers, lets its fault happen again and again, ends it, waits until every
lease is over, and asks whether anything is left and whether every process can still take every
name. Then the history is judged. Nothing in it depends on speed but the exactness of waits, which
is judged against the stalls that probes have measured.
"""
