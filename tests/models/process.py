"""Model of what a process holds: attempts, holds, joins, releases, and who finishes what was interrupted.

The code below is the design of `django_redislock.local` and of the verbs of a handle. A `yield`
stands before each atomic step. The model's network delivers requests in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .schedules import Actor, Interruption, Program, Violation, Wait, World

__all__ = ["Attempt", "Handle", "Hold", "Process", "Request", "Server"]


@dataclass(eq=False)
class Handle:
    """One attempt of a user to hold the name, as `lock(name)` returns it."""

    name: str
    held: tuple[Hold, str] | None = None  # the hold and this handle's need of it, in one store
    granted: bool = False  # what the user knows: acquired, and no release begun
    dropped: bool = False  # no program refers to it any more
    outcomes: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Hold:
    """The name held with one token. Passive."""

    token: str
    owner: str
    ends: int = 0
    needs: dict[str, Handle] = field(default_factory=dict)
    leavers: dict[str, int] = field(default_factory=dict)
    how: dict[str, tuple[str, str]] = field(default_factory=dict)  # how it ended, and by whom
    told: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Attempt:
    """One run of acquire or release by one handle."""

    name: str
    kind: str
    handle: Handle
    hold: Hold
    need: str
    joining: Hold | None = None
    steps: list[Program] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return bool(self.steps) and self.steps[0].gi_frame is None


@dataclass(eq=False)
class Request:
    """What was sent to the server: in flight until the network delivers it."""

    verb: str
    token: str
    lease: int = 0
    awaited: bool = False  # by the caller that sent it
    reply: list[bool | str] = field(default_factory=list)


class Server:
    """The name on the server: each request is one step."""

    def __init__(self) -> None:
        self.token = ""
        self.ends = 0
        self.queue: list[str] = []
        self.cancelled: set[str] = set()

    def answer(self, request: Request, now: int) -> bool | str:
        return getattr(self, request.verb)(request.token, request.lease, now)

    def look(self, now: int) -> None:
        if self.token and self.ends <= now:
            self.hand_over(now)

    def hand_over(self, now: int) -> None:
        self.token, self.ends = (self.queue.pop(0), now + LEASE) if self.queue else ("", 0)

    def acquire(self, token: str, lease: int, now: int) -> bool | str:
        self.look(now)
        if token in self.cancelled:
            return False
        if not self.token:
            self.token, self.ends = token, now + lease
        if self.token == token:
            return True
        if token not in self.queue:
            self.queue.append(token)
        return "queued"

    def release(self, token: str, lease: int, now: int) -> bool:
        self.look(now)
        if token in self.queue:
            self.queue.remove(token)
        if self.token != token:
            return False
        self.hand_over(now)
        return True

    def cancel(self, token: str, lease: int, now: int) -> bool:
        self.cancelled.add(token)
        return self.release(token, lease, now)

    def extend(self, token: str, lease: int, now: int) -> bool:
        self.look(now)
        if self.token != token:
            return False
        self.ends = now + lease
        return True


LEASE = 3


class Process(World):
    """The process, with the server that it talks to."""

    def __init__(self, without: str = "") -> None:
        super().__init__()
        self.without = without  # the guard that this exploration goes without
        self.now = 0
        self.apart = False  # whether a request is answered apart from the step that reads the reply
        self.ticks = 0  # how often the clock may still move
        self.server = Server()
        self.flight: list[Request] = []
        self.attempts: dict[Attempt, None] = {}
        self.holds: dict[Hold, None] = {}
        self.handles: list[Handle] = []
        self.ended: list[Hold] = []
        self.counts: dict[str, int] = {}

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

    def exchange(self, verb: str, token: str, lease: int = 0) -> Program:
        yield f"send {verb} {token}"
        request = self.send(verb, token, lease)
        request.awaited = True
        try:
            yield Wait(f"{verb} {token}: the reply", lambda: bool(request.reply) or not self.apart)
        except Interruption:
            request.awaited = False
            raise
        if not request.reply:
            self.flight.remove(request)
            request.reply.append(self.server.answer(request, self.now))
        return request.reply[0]

    # The verbs of a handle

    def drive(self, attempt: Attempt, steps: Program) -> Program:
        """Run the steps of an attempt; it is over when they are, however they ended."""
        attempt.steps.append(steps)
        return (yield from steps)

    def acquire(self, owner: str, handle: Handle, until: int = 0) -> Program:
        hold = Hold(self.name(f"token.{handle.name}"), owner)
        attempt = Attempt(self.name(f"acquire.{handle.name}"), "acquire", handle, hold, hold.token)
        try:
            granted = yield from self.drive(attempt, self.acquiring(attempt, until))
            if not self.guard("the attempt is taken off as the call returns"):
                yield "return from acquire"
        except Interruption:
            yield from self.interrupted(attempt)
            handle.outcomes.append("acquire raised")
            raise
        if granted:
            handle.granted = True
        return granted

    def acquiring(self, attempt: Attempt, deadline: int) -> Program:
        if self.guard("an attempt is written down before it sends"):
            yield "attempts[attempt] = None"
            self.attempts[attempt] = None
        joined = yield from self.join(attempt)
        granted = joined or (yield from self.ask(attempt, deadline))
        yield "attempts.pop(attempt)"
        self.attempts.pop(attempt, None)
        return granted

    def join(self, attempt: Attempt) -> Program:
        """Share a hold of the same owner that somebody needs and nobody ends."""
        yield "list(holds)"
        found = [hold for hold in self.holds if hold.owner == attempt.hold.owner]
        if not found:
            return False
        hold = found[0]
        attempt.joining = hold
        if not self.guard("a join writes its need before it looks"):
            yield "look: leavers, how, ends"
            leaving = self.leaving(hold)
            yield "needs[need] = handle"
            hold.needs[attempt.need] = attempt.handle
        else:
            yield "needs[need] = handle"
            hold.needs[attempt.need] = attempt.handle
            yield "look: leavers, how, ends"
            leaving = self.leaving(hold)
        if leaving:
            yield from self.leave(attempt.name, hold, attempt.need, "released")
            return False
        yield "handle.held = hold, need"
        attempt.handle.held = hold, attempt.need
        return True

    def leaving(self, hold: Hold) -> bool:
        return bool(hold.leavers or hold.how) or hold.ends <= self.now

    def ask(self, attempt: Attempt, deadline: int) -> Program:
        hold = attempt.hold
        sent = self.now
        granted = yield from self.exchange("acquire", hold.token, LEASE)
        if granted == "queued":
            turn = self.turn(hold.token)
            yield Wait("wait for the turn", lambda: turn() or self.now >= deadline)
            sent = self.server.ends - LEASE if turn() else sent
            granted = turn() or (yield from self.exchange("cancel", hold.token)) and False
        if granted:
            yield from self.begin(attempt, sent + LEASE)
        if not self.guard("an attempt is written down before it sends"):
            yield "attempts[attempt] = None"
            self.attempts[attempt] = None
        return granted

    def turn(self, token: str) -> Callable[[], bool]:
        return lambda: self.server.token == token

    def begin(self, attempt: Attempt, ends: int) -> Program:
        hold, handle = attempt.hold, attempt.handle
        hold.ends = ends
        if self.guard("a hold is needed before others see it"):
            hold.needs[attempt.need] = handle
            yield "holds[hold] = None"
            self.holds[hold] = None
        else:
            yield "holds[hold] = None"
            self.holds[hold] = None
            yield "needs[need] = handle"
            hold.needs[attempt.need] = handle
        yield "handle.held = hold, need"
        handle.held = hold, attempt.need

    def release(self, handle: Handle) -> Program:
        if handle.held is None:
            return
        hold, need = handle.held
        attempt = Attempt(self.name(f"release.{handle.name}"), "release", handle, hold, need)
        handle.granted = False
        try:
            yield from self.drive(attempt, self.releasing(attempt))
        except Interruption:
            yield from self.interrupted(attempt)
            handle.outcomes.append("release raised")
            raise

    def releasing(self, attempt: Attempt) -> Program:
        self.attempts[attempt] = None  # in one go with the start of the steps
        yield from self.leave(attempt.name, attempt.hold, attempt.need, "released")
        yield "attempts.pop(attempt)"
        self.attempts.pop(attempt, None)

    # How a hold ends

    def leave(self, leaver: str, hold: Hold, need: str, how: str) -> Program:
        """This need is over, and the hold with it if nobody else needs it."""
        yield f"needs.pop({need})"
        hold.needs.pop(need, None)
        yield "look: needs"
        while not hold.needs:
            mark = leaver if self.guard("each leaver has a mark of its own") else "leaving"
            if self.guard("a release marks before it looks for needs"):
                yield f"leavers[{mark}] = 1"
                hold.leavers[mark] = 1
            yield "look: needs again"
            if not hold.needs:
                yield from self.end(leaver, hold, how)
                return
            yield f"leavers.pop({mark})"
            hold.leavers.pop(mark, None)
            yield "look: needs"

    def end(self, leaver: str, hold: Hold, how: str) -> Program:
        """End it once. Whoever does sends what there is to send."""
        yield f"how.setdefault(how, {how})"
        mine = (leaver, how)
        first = hold.how.setdefault("how", mine) is mine
        if first or not self.guard("one end for each hold"):
            hold.told.append(how)
            yield "holds.pop(hold)"
            self.holds.pop(hold, None)
            if how == "released":
                yield from self.exchange("release", hold.token)

    # What our own thread does

    def interrupted(self, attempt: Attempt) -> Program:
        """The caller's last act: ask our own thread to finish the attempt now."""
        yield "wake.put(None)"
        if not self.guard("our own thread alone finishes attempts"):
            yield from self.finish(attempt, attempt.name)

    def sweep(self) -> Program:
        """Finish every attempt that is over, and drop the holds whose handles are gone."""
        yield "list(attempts)"
        attempts = list(self.attempts)
        while attempts:
            attempt = attempts.pop()
            yield f"look: is {attempt.name} over"
            if not attempt.over and self.guard("only an attempt that is over is swept"):
                continue
            yield "look: is it still registered"
            if attempt in self.attempts or not self.guard("over first, then still registered"):
                yield from self.finish(attempt)
        yield "list(holds)"
        holds = list(self.holds)
        while holds:
            hold = holds.pop()
            yield "look: handles that are gone"
            gone = [need for need, handle in hold.needs.items() if handle.dropped]
            while gone:
                yield from self.leave("sweep", hold, gone.pop(), "dropped")

    def finish(self, attempt: Attempt, me: str = "sweep") -> Program:
        holds = [attempt.hold]
        if attempt.joining and self.guard("the sweep leaves what an attempt was joining"):
            holds.append(attempt.joining)
        while holds:
            hold = holds.pop()
            yield "look: whether it began"
            if hold in self.holds or hold.how:
                if self.guard("the sweep leaves a hold that others need"):
                    yield from self.leave(me, hold, attempt.need, "released")
                else:
                    yield from self.end(me, hold, "released")
            if me == "sweep":
                yield f"leavers.pop({attempt.name})"
                hold.leavers.pop(attempt.name, None)
            if hold.how and self.guard("the sweep releases what an interrupted end did not"):
                yield "holds.pop(hold)"
                self.holds.pop(hold, None)
                self.send("release", hold.token)
        if attempt.kind == "acquire" and attempt.hold not in self.holds:
            yield "cancel in the background"
            late = self.guard("a cancel is remembered for requests that come late")
            self.send("cancel" if late else "release", attempt.hold.token)
        yield f"attempts.pop({attempt.name})"
        self.attempts.pop(attempt, None)

    # What must always hold

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
            if hold and self.believes(handle):
                if server.token != hold.token or server.ends < hold.ends:
                    raise Violation(f"{handle.name} says held, and the server gave it away")
            elif handle.granted and hold and hold.ends > self.now:
                raise Violation(f"{handle.name} was granted, and its hold ended without reason")
            if hold and len(hold.told) > 1:
                raise Violation(f"one hold ended twice: {hold.told}")

    def settle(self) -> None:
        """All callers are done: our own thread sweeps once more, and the network delivers."""
        late = [request for request in self.flight if request.verb == "acquire"]
        self.flight = [request for request in self.flight if request.verb != "acquire"]
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
                raise Violation(f"{token} is held or queued on the server, and nobody knows")

    def dropped_holds(self) -> list[Hold]:
        found = [handle.held[0] for handle in self.handles if handle.held]
        return [hold for hold in found if hold.how.get("how", ("", ""))[1] == "dropped"]


GUARDS = [
    "over first, then still registered",
    "the attempt is taken off as the call returns",
    "an attempt is written down before it sends",
    "a join writes its need before it looks",
    "a hold is needed before others see it",
    "each leaver has a mark of its own",
    "a release marks before it looks for needs",
    "one end for each hold",
    "our own thread alone finishes attempts",
    "the sweep leaves what an attempt was joining",
    "a mark stops joins and not belief",
    "only an attempt that is over is swept",
    "the sweep leaves a hold that others need",
    "the sweep releases what an interrupted end did not",
    "a cancel is remembered for requests that come late",
]
