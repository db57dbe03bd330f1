"""Steps of the model, by the server, by clients and by time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ..explorer import Label
from .faults import FAULT_STEPS, Faults
from .records import TICK
from .world import DEAD, PAUSED, REQUESTS, UP, Client, Message

__all__ = ["Model"]


class Model(Faults):
    """A state of the model, and its possible next steps."""

    def steps(self) -> Iterator[tuple[Label, Callable[[], Model]]]:
        """The possible next steps, each with a function that returns the state after it."""
        for label in (*self._of_messages(), *self._of_clients(), *self._of_time()):
            yield label, partial(self.after, label)
        if self.faults:
            for label in self._of_faults():
                yield label, partial(self.after, label)

    def after(self, label: Label) -> Model:
        """The state after a step. Raises ``Violation``."""
        verb, *arguments = label
        following = self.copy()
        getattr(following, str(verb))(*arguments)
        if verb in FAULT_STEPS:
            following.faults -= 1
            following.unlucky |= verb in ("lose", "slow", "twice", "flush", "jump")
        following.settle()
        return following

    # The possible steps.

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
        # Clients that are alike begin in their order, and names are used in theirs. Any other order
        # is the same with other numbers.
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
        """Time passes when all immediate steps are done."""
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

    # The server.

    def run(self, message: Message) -> None:
        """Run the script of a request."""
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
        self.receive(message)

    def force(self) -> None:
        """The operator releases the hold that was seen."""
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
