"""Faults under load: workers use locks while something breaks, and their history is checked.

    command.py      the command line: which faults, for how long, and where the table goes
    catalogue.py    all faults by name
    causes/         one class per fault: what breaks, how often, and which effects are allowed
    sites.py        the affected servers: one, a Cluster, behind a proxy, with a clock ...
    run.py          one run from its start to its report
    scene.py        the parts of a run: servers, database, workers, history
    workers/        the processes that use locks
        workload.py     the random operations of their threads and tasks
        handing.py      ... hand-overs of holds by their tokens
        operator.py     ... releases by force, and `clearlocks`
        writing.py      their writes to rows
        injections.py   interruptions from within
    history.py      the events that they record: one line per event, with a shared clock
    victim/         the rows that they write, and their database
    checker.py      violations in a history: overlaps, falling fences, errors
    waits.py        ... attempts that starve, waits that are not exact
    writes.py       ... stale writes, lost updates
    availability.py the longest time for which a name was wanted but not held
    report.py       the figures of a run, and the table
    page.py         the page of the documentation that shows it

A run starts a site and workers, causes its fault again and again, ends it, and waits until all
leases have ended. Then it checks that nothing is left, that every process can still acquire every
name, and that the history is correct. Only the exactness of waits depends on speed; it is judged
against the stalls that probes have measured, and the time for which its thread had no processor.
"""
