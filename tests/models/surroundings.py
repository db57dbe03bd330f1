"""Surroundings of the model of a process: network, clock, guards and invariants."""

from __future__ import annotations

from .records import Attempt, Handle, Hold, Request, Server
from .schedules import Actor, Program, Violation, World

__all__ = ["GUARDS", "Surroundings"]

GUARDS = [
    "over first, then still registered",
    "a release that has not begun is written down",
    "a second interruption is answered like the first",
    "an attempt is written down before it sends",
    "a join writes its need before it looks",
    "a hold is needed before others see it",
    "each leaver has a mark of its own",
    "a release marks before it looks for needs",
    "one end for each hold",
    "a shorter lease is believed before it is sent",
    "extensions side by side only shorten belief",
    "our own thread alone finishes attempts",
    "a join is written down, too",
    "the sweep waits for other calls",
    "the sweep looks at needs, then at attempts",
    "the sweep takes off the mark of what is over",
    "a mark stops joins and not belief",
    "only an attempt that is over is swept",
    "the sweep leaves a hold that others need",
    "the sweep completes the release of an interrupted end",
    "a cancel is remembered for requests that come late",
]


class Surroundings(World):
    """The state of a process, its network and its clock, and its invariants."""

    def __init__(self, without: str = "") -> None:
        super().__init__()
        self.without = without  # the guard that is left out in this exploration
        self.now = 0
        self.apart = False  # whether the answer to a request is a step of its own
        self.ticks = 0  # how often the clock may still move
        self.server = Server()
        self.flight: list[Request] = []
        self.attempts: dict[Attempt, None] = {}
        self.holds: dict[Hold, None] = {}
        self.handles: list[Handle] = []
        self.counts: dict[str, int] = {}
        self.forced = False  # whether the hold was released by force

    def guard(self, name: str) -> bool:
        assert name in GUARDS, name
        return name != self.without

    def name(self, kind: str) -> str:
        """A name that does not depend on the other actors' steps, as long as ``kind`` does not."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}.{self.counts[kind]}"

    def handle(self, name: str) -> Handle:
        handle = Handle(name)
        self.handles.append(handle)
        return handle

    # The network and the clock

    def choices(self) -> list[str]:
        found = super().choices()
        if not self.callers_are_done:
            found += [
                f"deliver {index}"
                for index, request in enumerate(self.flight)
                if self.apart or not request.awaited
            ]
            found += ["tick"] if self.ticks else []
        return found

    def choose(self, choice: str) -> str:
        if choice == "tick":
            self.ticks -= 1
            self.now += 1
            self.server.look(self.now)
            return f"the clock: {self.now}"
        if choice.startswith("deliver"):
            return self.deliver(int(choice.split()[1]))
        return super().choose(choice)

    def deliver(self, index: int) -> str:
        request = self.flight.pop(index)
        request.reply.append(self.server.answer(request, self.now))
        return f"the server: {request.verb} {request.token} -> {request.reply[0]}"

    def send(self, verb: str, token: str, lease: int = 0) -> Request:
        """Send it; also in the background, where a thread repeats it until it succeeds."""
        request = Request(verb, token, lease)
        self.flight.append(request)
        return request

    def sweep(self) -> Program:
        raise NotImplementedError

    # Invariants

    def believes(self, handle: Handle) -> bool:
        """Whether the handle says held."""
        if handle.held is None:
            return False
        hold, need = handle.held
        marked = hold.leavers and not self.guard("a mark stops joins and not belief")
        return need in hold.needs and not hold.how and not marked and hold.ends > self.now

    def check(self) -> None:
        server = self.server
        for handle in self.handles:
            hold = handle.held[0] if handle.held else None
            if hold and self.believes(handle) and not self.forced:
                if server.token != hold.token or server.ends < hold.ends:
                    raise Violation(f"{handle.name} says held, and the server gave it away")
            elif handle.granted and hold and hold.ends > self.now and not self.forced:
                raise Violation(f"{handle.name} was granted, and its hold ended without reason")
            if hold and len(hold.reported) > 1:
                raise Violation(f"one hold ended twice: {hold.reported}")

    def settle(self) -> None:
        """All callers are done: our own thread sweeps once more, and the network delivers."""
        late = [request for request in self.flight if request.verb == "acquire"]
        self.flight = [request for request in self.flight if request.verb != "acquire"]
        self.ticks = 0
        while any(actor.ready for actor in self.actors):
            next(actor for actor in self.actors if actor.ready).step()
            while self.flight:
                self.deliver(0)
        for _ in range(2):
            sweeper = Actor("sweep", self.sweep(), interruptions=False)
            while not sweeper.done:
                sweeper.step()
                while self.flight:
                    self.deliver(0)
        self.flight = late
        while self.flight:
            self.deliver(0)
        self.check()
        self.check_the_end()

    def check_the_end(self) -> None:
        if self.attempts:
            raise Violation(f"still registered: {[attempt.name for attempt in self.attempts]}")
        for hold in self.holds:
            owners = [handle for need, handle in hold.needs.items() if handle.held == (hold, need)]
            if not any(handle.granted for handle in owners):
                raise Violation(f"{hold.token} is renewed, and no handle can release it")
            if hold.leavers:
                raise Violation(f"{hold.token} can not be joined any more: {list(hold.leavers)}")
        kept = {hold.token for hold in self.holds} | {h.token for h in self.dropped_holds()}
        for token in [self.server.token, *self.server.queue]:
            if token and token not in kept:
                raise Violation(f"{token} is held or queued on the server, unknown to the process")

    def dropped_holds(self) -> list[Hold]:
        found = [handle.held[0] for handle in self.handles if handle.held and handle.dropped]
        return [hold for hold in found if hold.how.get("how", ("", ""))[1] == "dropped"]
