"""Who performs an owner's effects: the processor restores, closes and forgets, the driver does the rest."""

from __future__ import annotations

from typing import Any, Protocol

from tokenmeter.flow.page import steps
from tokenmeter.flow.page.driver import Driver, named_errors
from tokenmeter.flow.page.page import Processor


class Performs(Protocol):
    """What an owner's steps need. Tests break it on purpose."""

    def perform(self, effect: steps.Effect) -> Any:
        """Do it and return what the effect's docstring says. Raises Fenced, or Fatal: the owner must then die."""

    def drop(self) -> None:
        """Give the partition up. Never raises."""


class Performer:
    """``name`` is the app and its partition, for errors."""

    def __init__(self, driver: Driver, processor: Processor, name: str) -> None:
        self.driver, self.processor = driver, processor
        self._name = name

    def perform(self, effect: steps.Effect) -> Any:
        """See Performs. A processor reads Kafka, too, when it restores."""
        with named_errors(f"{type(effect).__name__} of {self._name}"):
            match effect:
                case steps.Restore(position):
                    return self.processor.restore(position)
                case steps.Close(bounds):
                    self.driver.announce(steps.position_of(bounds))
                    return self.processor.close(bounds)
                case steps.Committed(bounds):
                    return self.processor.committed(bounds)
                case _:
                    return self.driver.perform(effect)

    def drop(self) -> None:
        """See Performs."""
        self.driver.drop()


def run(generator: steps.Steps, performer: Performs) -> Any:
    """Drive a generator of effects to its end and return its value."""
    try:
        effect = next(generator)
        while True:
            effect = generator.send(performer.perform(effect))
    except StopIteration as stop:
        return stop.value
