"""Wire frames of ``/state``: both versions, as JSON text.

What lives here: what each frame looks like. What does not: when it is sent (``session``, ``feed``).

Version 1 is the reference's: ``[method, table, keys, rows]``, one row a frame, keys complete and in their
JSON types. Version 2 has objects, ``op`` naming the kind. Rows and keys arrive here as JSON already, exactly
as PostgreSQL prints them, and go out as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

CREATE, UPDATE, DELETE = "POST", "PATCH", "DELETE"

MAX_FRAME = 1 << 20
"""Bytes a frame should not exceed; rows larger than that go alone."""


def v1_frame(method: str, table: str, keys: bytes, row: bytes) -> str:
    """``[method, table, keys, [row]]``; ``keys`` is a JSON array, ``row`` a JSON object."""
    return f'["{method}",{json.dumps(table)},{keys.decode()},[{row.decode()}]]'


def frame(op: str, fields: Mapping[str, Any] | None = None, **more: Any) -> str:
    """A version 2 frame of plain values."""
    return json.dumps({"op": op, **(fields or {}), **more}, ensure_ascii=False, separators=(",", ":"))


def put(table: str, row: bytes, subs: bytes, old_key: bytes | None = None) -> bytes:
    """``["put",table,row,[subs],oldkey]``, the last only when the key changed."""
    tail = b"," + old_key if old_key is not None else b""
    return b'["put",' + json.dumps(table).encode() + b"," + row + b"," + subs + tail + b"]"


def part(table: str, key: bytes, known: bytes, subs: bytes) -> bytes:
    """``["part",table,key,{known columns},[subs]]``: what is left out is as it was."""
    return b",".join((b'["part"', json.dumps(table).encode(), key, known, subs)) + b"]"


def delete(table: str, key: bytes, subs: bytes) -> bytes:
    """``["del",table,key,[subs]]``."""
    return b",".join((b'["del"', json.dumps(table).encode(), key, subs)) + b"]"


def truncate(table: str) -> bytes:
    """``["truncate",table]``."""
    return b'["truncate",' + json.dumps(table).encode() + b"]"


def txn(start: str, at: str, xid: int, time: str, changes: str, *, more: bool) -> str:
    """``{"op":"txn","from":…,"at":…,"xid":…,"time":…,"changes":[…],"more":…}``; ``changes`` are joined."""
    return (
        f'{{"op":"txn","from":"{start}","at":"{at}","xid":"{xid}","time":"{time}",'
        f'"changes":[{changes}],"more":{"true" if more else "false"}}}'
    )


def snap(sub: int, table: str, rows: Iterable[bytes], tail: Mapping[str, Any]) -> str:
    """``{"op":"snap","sub":…,"table":…,"rows":[…],"more":…}``; ``tail`` has ``more`` and what follows it."""
    joined = b",".join(rows).decode()
    rest = json.dumps(tail, separators=(",", ":"))[1:]
    return f'{{"op":"snap","sub":{sub},"table":{json.dumps(table)},"rows":[{joined}],{rest}'
