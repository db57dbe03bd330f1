"""Steps of the model: what the server runs, what clients do, what goes wrong, and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..explorer import Label
from .clients import Clients
from .records import TICK
from .terms import Terms
from .world import DEAD, PAUSED, REQUESTS, UP, Client, Message

__all__ = ["Model"]


class Model(Clients):
    """A state of the model, and what may follow it."""

    __slots__ = ()

    def steps(self) -> Iterator[tuple[Label, Callable[[], Model]]]:
        """What may happen next, each with a function that returns the state after it."""
        for label in (*self._of_messages(), *self._of_clients(), *self._of_time()):
            yield label, lambda label=label: self.after(label)
        if self.faults:
            for label in self._of_faults():
                yield label, lambda label=label: self.after(label)

    def after(self, label: Label) -> Model:
        """The state after a step. Raises ``Violation``."""
        verb, *arguments = label
        following: Any = self.copy()
        getattr(following, str(verb))(*arguments)
        if verb in FAULT_STEPS:
            following.faults -= 1
            following.unlucky |= verb in ("lose", "slow", "twice", "flush", "jump")
        following.settle()
        return following

    # Which steps there are.

    def _of_messages(self) -> Iterator[Label]:
        for message in dict.fromkeys(self.net):
            if message.kind in REQUESTS:
                yield "run", message
            elif self.state_of(self.terms.client_of(message.token)) == UP:
                yield "arrive", message

    def _of_clients(self) -> Iterator[Label]:
        for number, client in enumerate(self.clients):
            if self.state_of(number) == UP:
                yield from getattr(self, f"_when_{client.phase}")(number, client)
        if self.seen is not None:
            yield ("force",)
        for process, state in enumerate(self.processes):
            if state == PAUSED:
                yield "resume", process
            elif state == UP and process not in self.server.links:
                yield "relink", process

    def _when_idle(self, number: int, client: Client) -> Iterator[Label]:
        if client.attempt + 1 == self.terms.attempts:
            return
        # Clients that are alike begin in their order, and names are used in theirs: whatever can
        # happen otherwise is the same with other numbers.
        before = self.clients[number - 1] if number else None
        limits, processes = self.terms.limits, self.terms.processes
        alike = before and limits[number] == limits[number - 1] and len(set(processes)) == 3
        if alike and before and before.attempt < 0 and self.state_of(number - 1) != DEAD:
            return
        used = max((one.name for one in self.clients if one.attempt >= 0), default=-1)
        for name in range(min(used + 2, self.terms.names)):
            if "once" in self.terms.ways:
                yield "ask", number, name, 0
            if "wait" in self.terms.ways and self.is_linked(number):
                yield "ask", number, name, self.terms.wait

    def _when_asking(self, number: int, client: Client) -> Iterator[Label]:
        if not self._is_prompt(client, "acquire", "granted", "busy"):
            yield "fail", number

    def _when_releasing(self, number: int, client: Client) -> Iterator[Label]:
        if not self._is_prompt(client, "release", "released"):
            yield "fail", number

    def _when_queued(self, number: int, client: Client) -> Iterator[Label]:
        if client.left == 0:
            yield "give_up", number
        elif client.look == 0 and self.is_linked(number):
            yield "ask_again", number

    def _when_holding(self, number: int, client: Client) -> Iterator[Label]:
        if client.ends == 0:
            yield "finish", number
            return
        if client.asked:
            if not self._is_prompt(client, "extend", "extended", "release", "released"):
                yield "fail", number
        else:
            yield "release", number
            for lease in self.terms.extensions:
                if not client.extended:
                    yield "extend", number, lease
        if not client.doubtful and not self._is_prompt(client, "renew", "renewed"):
            yield "renew", number

    def _is_prompt(self, client: Client, *kinds: str) -> bool:
        """Whether a reply is sure to come at once."""
        return any(
            one.token == client.token and one.kind in kinds and not one.slow and not one.mute
            for one in self.net
        )

    def _of_time(self) -> Iterator[Label]:
        """Time passes when all have done what they do at once."""
        for message in self.net:
            is_read = self.state_of(self.terms.client_of(message.token)) == UP
            if not message.slow and (message.kind in REQUESTS or is_read):
                return
        for number, client in enumerate(self.clients):
            if self.state_of(number) == UP and self._is_due(number, client):
                return
        yield ("tick",)

    def _is_due(self, number: int, client: Client) -> bool:
        if client.phase == "queued":
            return client.left == 0 or (client.look == 0 and self.is_linked(number))
        if client.phase == "holding" and not client.asked:
            return client.ends == 0
        if client.phase == "idle":
            return False
        kinds = {
            "asking": ("acquire", "granted", "busy"),
            "releasing": ("release", "released"),
            "holding": ("extend", "extended", "release", "released"),
        }[client.phase]
        # A reply that is lost is not waited for; one that is slow may be.
        return not any(
            one.token == client.token and one.kind in kinds and not one.mute for one in self.net
        )

    def _of_faults(self) -> Iterator[Label]:
        kinds = self.terms.kinds
        for message in dict.fromkeys(self.net):
            if "lost" in kinds:
                yield "lose", message
            if "slow" in kinds and not message.slow and not message.age:
                yield "slow", message
            is_first = not message.age and (message.kind == "turn" or message.kind in REQUESTS)
            if "twice" in kinds and is_first:
                yield "twice", message
        for process, state in enumerate(self.processes):
            if state == UP:
                yield from ((kind, process) for kind in ("crash", "pause") if kind in kinds)
                if "unlink" in kinds and process in self.server.links:
                    yield "unlink", process
        if "interrupt" in kinds:
            for number, client in enumerate(self.clients):
                if self.state_of(number) == UP and client.phase in ("asking", "queued"):
                    yield "interrupt", number
        if "force" in kinds and self.seen is None:
            for name, holds in enumerate(self.server.holds):
                yield from (("see", name, hold.token) for hold in holds if hold.ends > 0)
        yield from ((kind,) for kind in ("flush", "jump") if kind in kinds)

    # What the server does.

    def run(self, message: Message) -> None:
        """The script of a request is run."""
        self.take(message)
        kind, token, name, value = message[:4]
        server, number = self.server, self.terms.client_of(token)
        server.handed, reply, answer = (), "", 0
        if kind == "acquire":
            hold, first = server.acquire(name, token, value)
            reply, answer = ("granted", hold.ends) if hold else ("busy", first)
        elif kind in ("renew", "extend"):
            reply = "renewed" if kind == "renew" else "extended"
            answer = server.extend(name, token, value, at_least=kind == "renew")
        elif kind == "release":
            reply, answer = "released", int(server.release(name, token, value, self.here(number)))
        else:
            server.cancel(name, token, value, unless_answered=kind == "give_back")
        self._deliver_turns(name)
        if not message.mute and self.state_of(number) != DEAD:
            self.send(
                reply, token, name, answer, age=message.age, whole=answer, stale=message.stale
            )

    def here(self, number: int) -> int:
        """The process that gets the turns of its own waiters in the reply."""
        return self.terms.processes[number]

    def _deliver_turns(self, name: int) -> None:
        for token, ends in self.server.handed:
            self.send("turn", token, name, ends)
            stuck = list(self.stuck)
            stuck[name] = 0
            self.stuck = tuple(stuck)

    def arrive(self, message: Message) -> None:
        """A reply or a turn arrives at its process."""
        self.take(message)
        self.hear(message)

    def force(self) -> None:
        """The operator releases what was seen."""
        assert self.seen is not None
        name, token = self.seen
        self.seen, self.server.handed = None, ()
        ended = self.server.force_release(name, token)
        if ended is not None and self.is_linked(self.terms.client_of(ended)):
            self.send("lost", ended, name)
        self._deliver_turns(name)

    def tick(self) -> None:
        self.check_progress()
        self.server.tick()
        self.net = tuple(
            one._replace(
                value=one.value if one.kind in REQUESTS else max(one.value - 1, 0),
                age=one.age + 1 if one.kind in REQUESTS else one.age,
                slow=max(one.slow - 1, 0),
            )
            for one in self.net
        )
        self.clients = tuple(
            one._replace(
                left=max(one.left - 1, 0),
                look=one.look if one.look == TICK else max(one.look - 1, 0),
                turn=None if one.turn is None else max(one.turn - 1, 0),
                ends=max(one.ends - 1, 0),
            )
            for one in self.clients
        )

    # What goes wrong.

    def lose(self, message: Message) -> None:
        self.take(message)

    def slow(self, message: Message) -> None:
        self.take(message, message._replace(slow=self.terms.slow))

    def twice(self, message: Message) -> None:
        """A turn is heard twice, or a request is sent again and the first is still under way."""
        if message.kind == "turn":
            self.take(message, message, message)
            return
        first = message._replace(mute=True, slow=self.terms.slow)
        self.take(message, message, first)
        number = self.terms.client_of(message.token)
        if self.clients[number].token == message.token:
            self.sent_again(number, message)

    def crash(self, process: int) -> None:
        self._set_state(process, DEAD)
        self.server.links -= {process}
        for number, client in enumerate(self.clients):
            if self.terms.processes[number] == process:
                self._stop_listening(client.token, *REQUESTS, "granted", "busy", "renewed")
                self.net = tuple(
                    one for one in self.net
                    if one.kind in REQUESTS or self.terms.client_of(one.token) != number
                )  # fmt: skip
                attempt = self.terms.attempts - 1
                self.put(number, **Client(attempt=attempt, token=client.token)._asdict())

    def pause(self, process: int) -> None:
        self._set_state(process, PAUSED)

    def resume(self, process: int) -> None:
        self._set_state(process, UP)

    def unlink(self, process: int) -> None:
        """What was published on the way is lost, and all waiters are asked to look again."""
        self.server.links -= {process}
        self.net = tuple(
            one for one in self.net
            if one.kind not in ("turn", "lost")
            or self.terms.processes[self.terms.client_of(one.token)] != process
        )  # fmt: skip
        for number, client in enumerate(self.clients):
            beside = self.terms.processes[number] == process
            if beside and client.phase == "queued":
                self.put(number, look=0)

    def relink(self, process: int) -> None:
        self.server.links |= {process}

    def see(self, name: int, token: int) -> None:
        self.seen = name, token

    def flush(self) -> None:
        self.server.flush()

    def jump(self) -> None:
        """The server's clock is set forward: what clients know of it is too late."""
        ticks = self.terms.jump
        self.server.jump(ticks)
        self.clients = tuple(
            one if one.lag is None else one._replace(lag=one.lag - ticks) for one in self.clients
        )
        self.net = tuple(
            one._replace(value=max(one.value - ticks, 0)) if one.kind == "turn"
            else one._replace(age=one.age - ticks) if one.kind == "busy"
            else one
            for one in self.net
        )  # fmt: skip

    def _set_state(self, process: int, state: str) -> None:
        states = list(self.processes)
        states[process] = state
        self.processes = tuple(states)


FAULT_STEPS = {
    "lose", "slow", "twice", "crash", "pause", "unlink", "interrupt", "see", "flush", "jump",
}  # fmt: skip
