"""The server's side of ``/state`` version 2, without a socket: what clients may say, and how much they get.

What lives here: client frames read and checked, and the window of what is sent and not acknowledged. What
does not: what is sent (``feed``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from .cursor import Cursor

MAX_SUBSCRIPTIONS = 1000
MAX_UNACKED = 1000
MAX_MESSAGE = 1 << 20
"""Bytes a client's message may have."""
TOO_LARGE = f"a message of more than {MAX_MESSAGE} bytes"


class BadMessage(ValueError):
    """A client's frame that cannot be understood, or that is out of place; the socket is closed with 4400."""


class Sub(msgspec.Struct, frozen=True):
    """A subscription as asked for."""

    id: int
    table: str
    query: str = ""


class Hello(msgspec.Struct, tag="hello", tag_field="op"):
    """The first frame: where the client stands, and what it wants."""

    subs: list[Sub] = []
    at: str | None = None

    @property
    def cursor(self) -> Cursor | None:
        """Where the client stands; None for nowhere, or for what is no cursor of ours."""
        try:
            return Cursor.parse(self.at) if self.at else None
        except ValueError:
            return None


class AddSub(msgspec.Struct, tag="sub", tag_field="op"):
    """One more subscription."""

    sub: Sub


class Unsub(msgspec.Struct, tag="unsub", tag_field="op"):
    """One subscription less."""

    id: int


class Ack(msgspec.Struct, tag="ack", tag_field="op"):
    """``n`` messages have been applied, the last cursor among them was ``at``."""

    at: str | None = None
    n: int | None = None


class Auth(msgspec.Struct, tag="auth", tag_field="op"):
    """A (new) token."""

    token: str


class Sync(msgspec.Struct, tag="sync", tag_field="op"):
    """Say ``n`` when everything up to ``lsn`` has been sent."""

    n: int
    lsn: str


class Ping(msgspec.Struct, tag="ping", tag_field="op"):
    """Say ``n``."""

    n: int = 0


class Need(msgspec.Struct, tag="need", tag_field="op"):
    """A row of which only a part was sent, and which the client does not have."""

    table: str
    key: list[msgspec.Raw]


ClientFrame = Hello | AddSub | Unsub | Ack | Auth | Sync | Ping | Need

_decode = msgspec.json.Decoder(ClientFrame).decode


def read(text: str | bytes | None) -> ClientFrame:
    """A client's frame. Raises :class:`BadMessage`."""
    if text is None:
        raise BadMessage("an empty message")
    if len(text) > MAX_MESSAGE:
        raise BadMessage(TOO_LARGE)
    try:
        frame: ClientFrame = _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadMessage(str(error)) from None
    if isinstance(frame, Hello) and len({sub.id for sub in frame.subs}) < len(frame.subs):
        raise BadMessage("two subscriptions with one id")
    return frame


Sent = tuple[int, str | None]
"""A message on the way: its size, and its cursor, if it has one."""


class Journal:
    """What several windows are sent alike, noted once for all of them.

    Noting a message in each of a thousand windows costs more than half as much as sending it. ``count`` and
    ``size`` are of all messages ever; only the last ones are kept, of which no window lacks more.
    """

    __slots__ = ("_first", "_messages", "count", "size")

    def __init__(self) -> None:
        self._messages: list[Sent] = []
        self._first = 0
        self.count = 0
        self.size = 0

    def add(self, message: Sent) -> None:
        """All that follow are sent this."""
        self._messages.append(message)
        self.count += 1
        self.size += message[0]
        if len(self._messages) >= 2 * MAX_UNACKED:
            del self._messages[:MAX_UNACKED]
            self._first += MAX_UNACKED

    def since(self, count: int) -> Sequence[Sent]:
        """The messages after the first ``count``."""
        return self._messages[count - self._first :]


class Window:
    """What is sent and not acknowledged: at most ``messages`` and ``size`` bytes before sending pauses.

    One that follows a journal is sent what is added there too. Whoever adds to it sees to it that nobody is
    sent more than there is ``room`` for.
    """

    __slots__ = ("_acked", "_bytes", "_count", "_journal", "_messages", "_size", "_total", "_way")

    def __init__(self, size: int, messages: int = MAX_UNACKED) -> None:
        self._size = size
        self._messages = messages
        self._way: deque[Sent] = deque()
        self._bytes = 0
        self._acked = 0
        self._journal: Journal | None = None
        self._count = self._total = 0  # of the journal, as far as it is in here

    def sent(self, size: int, at: str | None = None) -> None:
        """A message went out; ``at`` is its cursor, if it has one."""
        self._way.append((size, at))
        self._bytes += size

    def take(self, message: Sent) -> bool:
        """A message may go out, and is counted; False when the window is shut."""
        if not self.open:
            return False
        self._way.append(message)
        self._bytes += message[0]
        return True

    def follow(self, journal: Journal) -> None:
        """From now on, what is added there is sent."""
        self._journal, self._count, self._total = journal, journal.count, journal.size

    def unfollow(self) -> None:
        """What is added from now on is not."""
        self._settle()
        self._journal = None

    def _settle(self) -> None:
        journal = self._journal
        if journal is not None and journal.count > self._count:
            self._way.extend(journal.since(self._count))
            self._bytes += journal.size - self._total
            self._count, self._total = journal.count, journal.size

    @property
    def room(self) -> tuple[int, int]:
        """Messages that may still go out, and bytes before the last of them; not above zero when shut."""
        self._settle()
        return self._messages - len(self._way), self._size - self._bytes

    @property
    def roomy(self) -> bool:
        """Whether no more than half of it is taken."""
        messages, size = self.room
        return 2 * messages >= self._messages and 2 * size >= self._size

    @property
    def open(self) -> bool:
        """Whether more may be sent."""
        messages, size = self.room
        return messages > 0 and size > 0

    @property
    def unacked(self) -> int:
        """Messages not acknowledged."""
        self._settle()
        return len(self._way)

    def acknowledge(self, ack: Ack) -> None:
        """Take an acknowledgement. Raises :class:`BadMessage` for one from the future."""
        self._settle()
        count = ack.n if ack.n is not None else self._count_at(ack.at)
        if count > self._acked + len(self._way) or count < 0:
            raise BadMessage("an acknowledgement of what was never sent")
        while self._acked < count:
            self._bytes -= self._way.popleft()[0]
            self._acked += 1

    def _count_at(self, at: str | None) -> int:
        """How many messages had been sent when that cursor was."""
        if at is not None:
            for back, (_, cursor) in enumerate(reversed(self._way)):
                if cursor == at:
                    return self._acked + len(self._way) - back
        return self._acked  # acknowledged before, or known from an earlier connection
