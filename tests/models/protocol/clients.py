"""Clients of the model: they ask, queue, receive their turns, renew and release."""

from __future__ import annotations

from .records import TICK
from .world import Message, World

__all__ = ["Clients"]


class Clients(World):
    """The steps of clients, and their reactions to messages."""

    # What clients send.

    def ask(self, number: int, name: int, wait: int) -> None:
        attempt = self.clients[number].attempt + 1
        token = number * self.terms.attempts + attempt
        blank = type(self.clients[number])()
        self.put(number, **blank._asdict())
        self.put(number, attempt=attempt, token=token, name=name, waits=wait > 0, left=wait)
        self.ask_again(number)

    def ask_again(self, number: int) -> None:
        client = self.clients[number]
        self.put(number, phase="asking", turn=None)
        self.send("acquire", client.token, client.name, client.left)

    def renew(self, number: int) -> None:
        client = self.clients[number]
        self._stop_listening(client.token, "renew", "renewed")
        under_way = self.terms.has("a renewal during an extension is not believed")
        stale = client.asked > 0 and under_way
        self.send("renew", client.token, client.name, self.terms.lease, stale=stale)

    def extend(self, number: int, lease: int) -> None:
        client, has = self.clients[number], self.terms.has
        if has("a renewal does not undo a later extension"):
            self.net = tuple(
                one._replace(stale=True)
                if one.token == client.token and one.kind in ("renew", "renewed")
                else one
                for one in self.net
            )
        ends = (
            min(client.ends, lease) if has("a shorter lease is believed at once") else client.ends
        )
        self.put(number, asked=lease, extended=True, ends=ends)
        self.send("extend", client.token, client.name, lease)

    def release(self, number: int) -> None:
        client = self.clients[number]
        if self.terms.has("release stops believing first"):
            self.put(number, phase="releasing", waits=False)
        else:
            self.put(number, extended=True, asked=-1)
        self.send("release", client.token, client.name, self._mark(number))

    def finish(self, number: int) -> None:
        """The attempt or the hold is over, and the server need not know."""
        client = self.clients[number]
        if mark := self._mark(number):
            self.send("cancel", client.token, client.name, mark, mute=True)
        self._stop(number)

    def give_up(self, number: int) -> None:
        """The wait is over."""
        client = self.clients[number]
        self.send("cancel", client.token, client.name, self._mark(number), mute=True)
        self._stop(number)

    def interrupt(self, number: int) -> None:
        client = self.clients[number]
        self.send("cancel", client.token, client.name, self.terms.mark, mute=True)
        self._stop(number)

    def fail(self, number: int) -> None:
        """The request of the client gets no reply."""
        client = self.clients[number]
        self._stop_listening(client.token, "acquire", "granted", "busy", "extend", "extended")
        self._stop_listening(client.token, "release", "released")
        if client.phase == "asking":
            self.put(number, unanswered=True)
            if client.waits and client.left > 0:
                self.ask_again(number)
            else:
                self.interrupt(number)
        elif client.phase == "releasing":
            # A background job tries again.
            self.send("release", client.token, client.name, self._mark(number), mute=True)
            self._stop(number)
        else:
            self._doubt(number, client.asked)
            self.put(number, asked=0)

    def sent_again(self, number: int, message: Message) -> None:
        """Its connection broke, and the client sends a request again by itself."""
        if message.kind == "acquire":
            self.put(number, unanswered=True)
        elif message.kind == "extend":
            self._doubt(number, message.value)

    def _doubt(self, number: int, lease: int) -> None:
        """A request to extend may still be under way."""
        if self.terms.has("a lease that may become shorter is not renewed"):
            self.put(number, doubtful=0 < lease < self.terms.lease)

    def _mark(self, number: int) -> int:
        guard = self.terms.has("an attempt that went unanswered ends with a mark")
        return self.terms.mark if self.clients[number].unanswered and guard else 0

    def _stop(self, number: int) -> None:
        token = self.clients[number].token
        self._stop_listening(token, "acquire", "granted", "busy", "renew", "renewed")
        self._stop_listening(token, "extend", "extended", "release", "released")
        self.put(number, phase="idle", waits=False, ends=0, left=0, look=0, lag=None, turn=None)
        self.put(number, asked=0, extended=False, doubtful=False)

    def _stop_listening(self, token: int, *kinds: str) -> None:
        """The connection is closed: a request may still arrive, a reply is not read."""
        kept = []
        for one in self.net:
            if one.token != token or one.kind not in kinds:
                kept.append(one)
            elif one.kind in ("acquire", "renew", "extend", "release"):
                kept.append(one._replace(mute=True))
        self.net = tuple(kept)

    # What clients receive.

    def receive(self, message: Message) -> None:
        number = self.terms.client_of(message.token)
        is_present = self.clients[number].token == message.token
        if message.kind == "turn":
            self._receive_turn(number, message, is_present)
        elif is_present and self.clients[number].phase != "idle":
            getattr(self, f"_receive_{message.kind}")(number, message)

    def _ends(self, message: Message) -> int:
        if self.terms.has("a lease counts from before the request"):
            return message.value - message.age
        return message.whole

    def _receive_granted(self, number: int, message: Message) -> None:
        ends = self._ends(message)
        if ends > 0:
            self.put(number, phase="holding", ends=ends, waits=False, left=0, look=0, turn=None)
            self.put(number, lag=None)
        else:
            self.interrupt(number)

    def _receive_busy(self, number: int, message: Message) -> None:
        client = self.clients[number]
        look = TICK
        if self.terms.has("a waiter looks again by itself"):
            look = max(min(message.value, self.terms.grant_lease), 1)
        self.put(number, phase="queued", lag=message.age, look=min(look, client.left))
        if not client.waits:
            self.finish(number)
        elif client.turn is not None:
            self._take_turn(number, client.turn)

    def _receive_turn(self, number: int, message: Message, is_present: bool) -> None:
        client, has = self.clients[number], self.terms.has
        if is_present and client.waits and client.phase == "queued":
            self._take_turn(number, message.value)
        elif is_present and client.waits and client.phase == "asking":
            self.put(number, turn=message.value)
        elif is_present and client.phase == "holding" and has("a turn of a present hold is kept"):
            pass
        else:
            # Without this, the others would wait for the rest of the grant lease.
            self.send("give_back", message.token, message.name, mute=True)

    def _take_turn(self, number: int, until: int) -> None:
        client, has = self.clients[number], self.terms.has
        ends = until - (client.lag or 0)
        if not has("a turn ends when the server says"):
            ends = self.terms.grant_lease
        if has("a turn holds no longer than the grant lease"):
            ends = min(ends, self.terms.grant_lease)
        if ends > 0:
            self.put(number, phase="holding", ends=ends, waits=False, left=0, look=0, turn=None)
            self.put(number, lag=None)
        elif client.left > 0:
            self.ask_again(number)
        else:
            self.give_up(number)

    def _receive_renewed(self, number: int, message: Message) -> None:
        if self.clients[number].phase != "holding":
            return
        if message.value <= 0 and message.whole <= 0:
            self.finish(number)
        elif not message.stale:
            self.put(number, ends=max(self._ends(message), 0))

    def _receive_extended(self, number: int, message: Message) -> None:
        if message.whole <= 0:
            self.finish(number)
        else:
            self.put(number, asked=0, ends=max(self._ends(message), 0))

    def _receive_released(self, number: int, message: Message) -> None:
        self._stop(number)
        if not message.whole:
            # It may have been done by a command whose reply was lost with a turn in it.
            for other, client in enumerate(self.clients):
                beside = self.terms.processes[other] == self.terms.processes[number]
                if beside and client.phase == "queued" and client.name == message.name:
                    self.put(other, look=0)

    def _receive_lost(self, number: int, message: Message) -> None:
        if self.clients[number].phase == "holding":
            self.finish(number)
