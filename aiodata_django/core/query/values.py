"""The values of a request, set aside from its shape.

What lives here: the list that slots point into, and taking the operands out of a parsed tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from .statement import Slot
from .syntax import Filter, Logic, Operation

# Slots are made for every value of every request; the first ones are made once.
_FIRST = tuple(Slot(index) for index in range(32))


class Values(list[str | bytes | None]):
    """The values of one request, in the order in which they were set aside."""

    @classmethod
    def of(cls, values: Sequence[str]) -> tuple[Self, tuple[Slot, ...]]:
        """These values, and where each is."""
        return cls(values), _FIRST[: len(values)] + tuple(map(Slot, range(len(_FIRST), len(values))))

    def add(self, value: str | bytes | None) -> Slot:
        """Keeps a value and says where."""
        index = len(self)
        self.append(value)
        return _FIRST[index] if index < len(_FIRST) else Slot(index)


def array_literal(elements: Sequence[str]) -> str:
    """A PostgreSQL array literal of texts; one empty text, which ``in.()`` parses to, is no element."""
    if list(elements) == [""]:
        return "{}"
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in elements)
    return "{" + ",".join(quoted) + "}"


def set_aside(tree: Filter | Logic, values: Values) -> Filter | Logic:
    """The tree with every operand in a slot; ``is`` has none, its keyword belongs to the shape."""
    if isinstance(tree, Logic):
        return Logic(tree.operator, tuple(set_aside(child, values) for child in tree.children), tree.negated)
    operation = tree.operation
    if operation.operator == "is":
        return tree
    if operation.operator == "in":
        slotted = Operation("in", values.add(array_literal(operation.elements)))
    else:
        assert isinstance(operation.operand, str)
        slot = values.add(operation.operand)
        slotted = Operation(operation.operator, slot, operation.quantifier, operation.language)
    return Filter(tree.field, slotted, tree.negated)
