"""Catalogue of all faults, by name and in the order of the table."""

from __future__ import annotations

from tests.faults.causes import (
    clock,
    cluster,
    interruptions,
    network,
    processes,
    sentinel,
    server,
)
from tests.faults.causes.fault import Fault

ALL: list[type[Fault]] = [
    Fault,
    processes.Kill, processes.Terminate, processes.Freeze, processes.Starve, processes.Fork,
    processes.ForkStorm, processes.UsedUpPool, processes.ReleaseElsewhere,
    interruptions.Cancel, interruptions.CancelStorm, interruptions.Alarm,
    interruptions.AsynchronousExceptions, interruptions.GeventTimeouts,
    network.LoseRequests, network.LoseReplies, network.Delay, network.Split, network.Swallow,
    network.BlackHole,
    server.FreezeServer, server.KillConnections, server.FlushScripts, server.RestartKept,
    server.OutOfMemory,
    cluster.ClusterFault, cluster.MoveSlots, cluster.FailOver,
    # The following faults lose data.
    server.RestartEmpty, server.FlushAll, server.EvictAny, server.EvictVolatile,
    clock.JumpingClock, clock.ForgetfulClock, sentinel.FailOver, cluster.LosePrimary,
]  # fmt: skip
FAULTS = {fault.name: fault for fault in ALL}
