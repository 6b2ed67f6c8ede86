"""One row's key read through the whole server, against pgbench pipelining the same two statements.

    python -m benchmarks.single_read [--rounds 3] [--seconds 3] [--clients 8] [--servers uvicorn daphne]

``GET /query/pets/Dog/<breed>`` answers ten rows of the demo's table, with a JWT's role, claims and headers in
the transaction: the full way of a request. pgbench runs the very statements the server would run, prepared,
in one pipeline, and is the limit. ``wrk`` makes the load (Debian: apt-get install wrk). Server CPU is that of
the server's process alone, a request; ``CPU of pgbench`` is that CPU in units of the time pgbench needs for
the transaction, so that machines of different speed can be compared.
"""

from __future__ import annotations

import argparse
import shutil
from collections import defaultdict
from collections.abc import Mapping

from aiodata_django.conf import Settings
from aiodata_django.core.identity import Identity
from aiodata_django.core.query.headers import Headers
from aiodata_django.core.query.outline import outline
from aiodata_django.core.query.prepared import prepare
from aiodata_django.core.query.request import Dialect, HttpRequest
from aiodata_django.core.query.statement import Query
from aiodata_django.db.catalog import load_schema_sync
from benchmarks.load import pgbench, postgres, table
from benchmarks.serving import SECRET, load, server, token

PATH = "/pets/Dog/Breed%207"


def script(uri: str) -> tuple[str, Mapping[str, str]]:
    """The request's transaction as a pgbench script, and the values of its variables."""
    settings = Settings(db_uri=uri, db_schemas=("api",), db_anon_role="anon", jwt_secret=SECRET)
    schema = load_schema_sync(uri, schemas=settings.db_schemas)
    headers = Headers([("host", "127.0.0.1:4000"), ("authorization", f"Bearer {token()}")])
    request = HttpRequest("GET", PATH, "", headers)
    looked = outline(request, Dialect.QUERY, settings.query)
    prepared = prepare(looked, schema, settings.query, "auth")
    identity = Identity("auth", {"role": "auth", "sub": "1"}, authenticated=True)
    batch = (
        prepared.row_batch(looked, request, identity)
        if prepared.streams(looked)
        else prepared.batch(looked, request, identity)
    )
    variables: dict[str, str] = {}
    lines = [_with_variables(query, number, variables) for number, query in enumerate(batch.queries)]
    return "\\startpipeline\n" + ";\n".join(lines) + ";\n\\endpipeline\n", variables


def _with_variables(query: Query, number: int, variables: dict[str, str]) -> str:
    sql = query.sql.decode()
    for position in range(len(query.params), 0, -1):
        name = f"v{number}_{position}"
        variables[name] = (query.params[position - 1] or b"").decode()
        sql = sql.replace(f"${position}", f":{name}")
    return sql


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--servers", nargs="+", default=["uvicorn", "daphne"])
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.exit(2, "wrk is missing: apt-get install wrk\n")
    results: dict[str, list[dict[str, float]]] = defaultdict(list)
    with postgres() as database:
        uri = database.uri(user="authenticator", password="authenticator")
        text, variables = script(uri)
        for _ in range(options.rounds):
            rate, latency = pgbench(uri, text, variables, clients=options.clients, seconds=options.seconds)
            results["pgbench, pipelined"].append({"rate": rate, "mean ms": latency})
            for kind in options.servers:
                with server(uri, kind) as (port, pid):
                    load(port, pid, f"/query{PATH}", clients=options.clients, seconds=1)
                    figures = load(
                        port, pid, f"/query{PATH}", clients=options.clients, seconds=options.seconds
                    )
                    figures["CPU of pgbench"] = figures["CPU µs"] * rate / 1e6
                    results[kind].append(figures)
    print(f"\n{options.clients} clients, {options.clients} connections")
    table(results, limit="pgbench, pipelined")


if __name__ == "__main__":
    main()
