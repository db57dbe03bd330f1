"""Faults of the model, each a counted step."""

from __future__ import annotations

from collections.abc import Iterator

from ..explorer import Label
from .clients import Clients
from .world import DEAD, PAUSED, REQUESTS, UP, Client, Message

__all__ = ["FAULT_STEPS", "Faults"]

FAULT_STEPS = {
    "lose", "slow", "twice", "crash", "pause", "unlink", "interrupt", "see", "flush", "jump",
}  # fmt: skip


class Faults(Clients):
    """The faults of ``terms.FAULTS`` as steps."""

    def _of_faults(self) -> Iterator[Label]:
        kinds = self.terms.kinds
        yield from self._of_lost_messages()
        for process, state in enumerate(self.processes):
            if state == UP:
                yield from ((kind, process) for kind in ("crash", "pause") if kind in kinds)
                if "unlink" in kinds and process in self.server.links:
                    yield "unlink", process
        for number, client in enumerate(self.clients):
            is_asking = self.state_of(number) == UP and client.phase in ("asking", "queued")
            if "interrupt" in kinds and is_asking:
                yield "interrupt", number
        if "force" in kinds and self.seen is None:
            for name, holds in enumerate(self.server.holds):
                yield from (("see", name, hold.token) for hold in holds if hold.ends > 0)
        yield from ((kind,) for kind in ("flush", "jump") if kind in kinds)

    def _of_lost_messages(self) -> Iterator[Label]:
        kinds = self.terms.kinds
        for message in dict.fromkeys(self.net):
            if "lost" in kinds:
                yield "lose", message
            if message.age:
                continue
            if "slow" in kinds and not message.slow:
                yield "slow", message
            if "twice" in kinds and (message.kind == "turn" or message.kind in REQUESTS):
                yield "twice", message

    def lose(self, message: Message) -> None:
        self.take(message)

    def slow(self, message: Message) -> None:
        self.take(message, message._replace(slow=self.terms.slow))

    def twice(self, message: Message) -> None:
        """A turn arrives twice, or a request is sent again while the first is still under way."""
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
        """Published messages on the way are lost, and all waiters are asked to look again."""
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
        """The server's clock is set forward, so that the clients' estimates of it are behind."""
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
