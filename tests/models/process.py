"""Model of a process: its holds, and the clean-up after interruptions.

The code below is the design of `django_redislock.local` and of the verbs of a handle. A `yield`
stands before each atomic step and names it. The code up to the next `yield` is the step.
"""

from __future__ import annotations

from collections.abc import Callable

from .records import LEASE, Attempt, Handle, Hold
from .schedules import Interruption, Program, Wait
from .surroundings import Surroundings

__all__ = ["Process"]


class Process(Surroundings):
    """A process whose threads hold one name, and its own thread."""

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
        """Run the steps of an attempt, which is over when they have ended in any way."""
        attempt.steps.append(steps)
        return (yield from steps)

    def acquire(self, owner: str, handle: Handle, until: int = 0) -> Program:
        hold = Hold(self.name(f"token.{handle.name}"), owner)
        attempt = Attempt(self.name(f"acquire.{handle.name}"), "acquire", handle, hold, hold.token)
        try:
            granted = yield from self.drive(attempt, self.acquiring(attempt, until))
        except Interruption:
            yield from self.interrupted(attempt)
            raise
        if granted:
            handle.granted = True
        return granted

    def acquiring(self, attempt: Attempt, deadline: int) -> Program:
        if (yield from self.join(attempt)):
            return True
        if self.guard("an attempt is written down before it sends"):
            yield "attempts[attempt] = None"
            self.attempts[attempt] = None
        granted = yield from self.ask(attempt, deadline)
        yield "attempts.pop(attempt)"
        self.attempts.pop(attempt, None)
        return granted

    def join(self, attempt: Attempt) -> Program:
        """Share a hold of the same owner that is needed and not being ended."""
        yield "list(holds)"
        found = [one for one in self.holds if one.owner == attempt.hold.owner and one.needed]
        if not found:
            return False
        hold, handle, need = found[0], attempt.handle, attempt.need
        # Interrupted, it has nothing to cancel, only its need to end, as a release has.
        own, attempt.hold, attempt.kind = attempt.hold, hold, "release"
        if self.guard("a join is written down, too"):
            yield "attempts[attempt] = None"
            self.attempts[attempt] = None
        if not self.guard("a join writes its need before it looks"):
            yield "look: leavers, how, ends"
            leaving = self.leaving(hold)
            yield "needs[need] = handle"
            hold.needs[need] = handle
        else:
            yield "needs[need] = handle"
            hold.needs[need] = handle
            yield "look: leavers, how, ends"
            leaving = self.leaving(hold)
        if leaving:
            yield from self.leave(attempt.name, hold, need, "released")
        else:
            yield "handle.held = hold, need"
            handle.held = hold, need
        yield "attempts.pop(attempt)"
        self.attempts.pop(attempt, None)
        if leaving:
            attempt.hold, attempt.kind = own, "acquire"
        return not leaving

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
            granted = turn() or ((yield from self.exchange("cancel", hold.token)) and False)
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
        hold.claims["grant"] = (ends, True)
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
            try:
                yield from self.end_later(attempt)
            except Interruption:
                if self.guard("a second interruption is answered like the first"):
                    yield from self.end_later(attempt)
            raise

    def releasing(self, attempt: Attempt) -> Program:
        yield "attempts[attempt] = None"
        self.attempts[attempt] = None
        yield from self.leave(attempt.name, attempt.hold, attempt.need, "released")
        yield "attempts.pop(attempt)"
        self.attempts.pop(attempt, None)

    def end_later(self, attempt: Attempt) -> Program:
        """Write down a release that was interrupted before it did so itself."""
        yield "look: has it begun"
        begun = attempt in self.attempts or attempt.need not in attempt.hold.needs
        if not begun and self.guard("a release that has not begun is written down"):
            yield "attempts[attempt] = None"
            self.attempts[attempt] = None
        yield from self.interrupted(attempt)

    # Extension and renewal

    def extend(self, who: str, hold: Hold, lease: int) -> Program:
        """A lease without a reply yet counts if it is shorter, until a later one replaces it."""
        yield "list(claims)"
        older = [key for key, (_, replied) in hold.claims.items() if replied]
        if not self.guard("extensions side by side only shorten belief"):
            older = list(hold.claims)
        ends = self.now + lease
        if self.guard("a shorter lease is believed before it is sent"):
            yield f"claims[{who}] = {ends}, False"
            hold.claims[who] = (ends, False)
        extended = yield from self.exchange("extend", hold.token, lease)
        if not extended:
            yield from self.end(who, hold, "lost")
            return
        yield f"claims[{who}] = {ends}, True"
        hold.claims[who] = (ends, True)
        while older:
            yield "claims.pop(older)"
            hold.claims.pop(older.pop(), None)

    def renew(self) -> Program:
        """Our own thread extends the hold that it finds."""
        yield Wait("list(holds)", lambda: bool(self.holds))
        for hold in list(self.holds)[:1]:
            yield from self.extend("renewal", hold, LEASE)

    # How a hold ends

    def leave(self, leaver: str, hold: Hold, need: str, how: str) -> Program:
        """End this need, and the hold too if no other need is left."""
        yield f"needs.pop({need})"
        hold.needs.pop(need, None)
        yield "look: needs"
        while not hold.needed:
            mark = leaver if self.guard("each leaver has a mark of its own") else "leaving"
            if self.guard("a release marks before it looks for needs"):
                yield f"leavers[{mark}] = 1"
                hold.leavers[mark] = 1
            yield "look: needs again"
            if not hold.needed:
                yield from self.end(leaver, hold, how)
                return
            yield f"leavers.pop({mark})"
            hold.leavers.pop(mark, None)
            yield "look: needs"

    def end(self, leaver: str, hold: Hold, how: str) -> Program:
        """End the hold once; the actor that ends it also sends the release."""
        yield f"how.setdefault(how, {how})"
        mine = (leaver, how)
        first = hold.how.setdefault("how", mine) is mine
        if first or not self.guard("one end for each hold"):
            hold.reported.append(how)
            yield "holds.pop(hold)"
            self.holds.pop(hold, None)
            if how == "released":
                ended = yield from self.exchange("release", hold.token)
                if not ended and not self.forced and hold.ends > self.now:
                    hold.reported.append("lost")

    # The thread of our own

    def interrupted(self, attempt: Attempt) -> Program:
        """An exception has left the call: our own thread finishes the attempt.

        CPython looks for signals when a function begins and after calls, so none comes between the
        `del` of an attempt and the return. Python 3.10 also looks elsewhere; this is left out here.
        """
        yield "attempt.call = None"
        attempt.failed = True
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
            if self.guard("the sweep looks at needs, then at attempts"):
                yield "look: needs"
                kept = hold.needed
                yield "look: attempts"
                kept = self.in_use(hold) or kept
            else:
                yield "look: attempts"
                kept = self.in_use(hold)
                yield "look: needs"
                kept = hold.needed or kept
            if not kept:
                yield from self.leave("sweep", hold, "none", "dropped")

    def in_use(self, hold: Hold) -> bool:
        """Whether calls in progress are about this hold."""
        running = [one for one in self.attempts if not one.over]
        return any(one.hold is hold for one in running)

    def finish(self, attempt: Attempt, me: str = "sweep") -> Program:
        hold = attempt.hold
        yield "look: whether it began"
        if hold in self.holds or hold.how:
            if self.guard("the sweep leaves a hold that others need"):
                yield from self.leave(me, hold, attempt.need, "released")
            else:
                yield from self.end(me, hold, "released")
        if me == "sweep" and self.guard("the sweep takes off the mark of what is over"):
            yield f"leavers.pop({attempt.name})"
            hold.leavers.pop(attempt.name, None)
        if hold.how and self.guard("the sweep completes the release of an interrupted end"):
            yield "look: attempts"
            if self.in_use(hold) and self.guard("the sweep waits for other calls"):
                return  # one of them may be ending it
            yield "holds.pop(hold)"
            self.holds.pop(hold, None)
            self.send("release", hold.token)
        if attempt.kind == "acquire" and attempt.hold not in self.holds:
            yield "cancel in the background"
            late = self.guard("a cancel is remembered for requests that come late")
            self.send("cancel" if late else "release", attempt.hold.token)
        yield f"attempts.pop({attempt.name})"
        self.attempts.pop(attempt, None)
