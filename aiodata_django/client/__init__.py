"""The network client: async and sync, over HTTP and websocket. Knows neither Django nor psycopg.

from aiodata_django.client import Client

client = Client("http://localhost:4000", token, callback=print)
await client.start()
client.tables.pets.get("Dog")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.state.entry import Entry, asdict
from .client import Client
from .conditions import Column, Condition
from .error import Error, Unreachable
from .query import Query, Rows
from .table import Table, Tables

if TYPE_CHECKING:
    from .sync import SyncClient

__all__ = [
    "Client",
    "Column",
    "Condition",
    "Entry",
    "Error",
    "Query",
    "Rows",
    "SyncClient",
    "Table",
    "Tables",
    "Unreachable",
    "asdict",
]


def __getattr__(name: str) -> Any:
    if name == "SyncClient":  # requests is imported by those who use it
        from .sync import SyncClient

        return SyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
