"""What happens while serving, as events; who wants to know subscribes.

What lives here: the events and the logging of them. What does not: metrics, which are one more subscriber.

Levels are PostgREST's: ``error`` logs answers of 500 and above, ``warn`` of 400 and above, ``info`` all.
Source: https://docs.postgrest.org/en/v16/references/observability.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger("aiodata_django")

LEVELS = {
    "crit": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


@dataclass(frozen=True, slots=True)
class Observation:
    """Something worth knowing; subclasses say what. ``level`` is one of :mod:`logging`'s."""

    @property
    def level(self) -> int:
        """How loud."""
        return logging.INFO

    @property
    def text(self) -> str:
        """One sentence."""
        return self.__class__.__name__


@dataclass(frozen=True, slots=True)
class RequestAnswered(Observation):
    """A request was answered. ``seconds`` is the time from its body to its answer."""

    method: str
    path: str
    status: int
    seconds: float

    @property
    def level(self) -> int:
        """By status."""
        return (
            logging.ERROR if self.status >= 500 else logging.WARNING if self.status >= 400 else logging.INFO
        )

    @property
    def text(self) -> str:
        """As an access log has it."""
        return f"{self.method} {self.path} {self.status} {self.seconds * 1000:.1f} ms"


@dataclass(frozen=True, slots=True)
class SchemaLoaded(Observation):
    """The schema was read from the catalogue."""

    relations: int
    routines: int
    seconds: float

    @property
    def text(self) -> str:
        """What was found."""
        return f"schema loaded: {self.relations} relations, {self.routines} functions, {self.seconds:.2f} s"


@dataclass(frozen=True, slots=True)
class Trouble(Observation):
    """Something does not work; ``text`` of it says what and, where we know, what to run."""

    sentence: str

    @property
    def level(self) -> int:
        """To be seen."""
        return logging.ERROR

    @property
    def text(self) -> str:
        """What does not work."""
        return self.sentence


@dataclass(frozen=True, slots=True)
class Notice(Observation):
    """Something an operator may want to know."""

    sentence: str

    @property
    def level(self) -> int:
        """To be seen once."""
        return logging.WARNING

    @property
    def text(self) -> str:
        """What there is to know."""
        return self.sentence


Handler = Callable[[Observation], None]


class Volume:
    """How loud an answered request must be to be logged: ``log-level``, set when a server starts."""

    least = logging.ERROR


def log(observation: Observation) -> None:
    """Write an observation to the logger ``aiodata_django``."""
    level = observation.level
    if level >= Volume.least or not isinstance(observation, RequestAnswered):
        logger.log(level, "%s", observation.text)


handlers: list[Handler] = [log]
"""Called with each observation, in this order; what they raise is logged and goes no further."""


def observe(observation: Observation) -> None:
    """Tell everybody who subscribed."""
    for handler in tuple(handlers):
        try:
            handler(observation)
        except Exception:
            logger.exception("a handler of observations failed")


def wants(status: int) -> bool:
    """Whether anybody listens to answers of this status: telling costs more than this question."""
    level = logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO
    return level >= Volume.least or len(handlers) > 1
