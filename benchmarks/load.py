"""What the benchmarks share: a server with the pets, pgbench as the limit, and printing rounds side by side.

What lives here: set-up and reporting. What does not: what is measured.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from aiodata_django.db.embedded import EmbeddedPostgres

SETTINGS = {"shared_buffers": "256MB", "fsync": "off", "max_connections": "200"}

# pgbench prepares before its pipeline sets the role, so here the login role inherits what its roles may do.
PETS = """
do $$ begin
    if to_regrole('anon') is null then create role anon nologin; end if;
    if to_regrole('auth') is null then create role auth nologin; end if;
    if to_regrole('authenticator') is null then
        create role authenticator login replication password 'authenticator';
    end if;
    grant anon, auth to authenticator;
end $$;
create schema api;
create table api.pets (
    type text, breed text, name text, color int, groomed boolean default false,
    primary key (type, breed, name)
);
insert into api.pets
    select case n % 2 when 0 then 'Dog' else 'Cat' end, 'Breed ' || n / 10, 'Name ' || n % 10, n, n % 3 = 0
    from generate_series(1, 10000) n;
analyze api.pets;
grant usage on schema api to anon, auth;
grant all on api.pets to auth;
grant select on api.pets to anon;
"""


@contextmanager
def postgres(sql: str = PETS) -> Iterator[EmbeddedPostgres]:
    """A server of the benchmark's own, made from ``sql``; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="aiodata-benchmark-") as place:
        Path(place).chmod(0o711)
        server = EmbeddedPostgres(Path(place) / "data", settings=SETTINGS)
        server.start()
        try:
            with psycopg.connect(server.uri(), autocommit=True) as connection:
                connection.execute(sql.encode())
            yield server
        finally:
            server.remove()


def pgbench(
    uri: str, script: str, variables: Mapping[str, str], *, clients: int, seconds: float
) -> tuple[float, float]:
    """Transactions per second of ``script``, its statements prepared, and the mean latency in ms."""
    parts = urlsplit(uri)
    options = {
        "client": clients,
        "jobs": 1,
        "time": max(1, round(seconds)),
        "protocol": "prepared",
        "host": parts.hostname,
        "port": parts.port,
        "username": parts.username,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [str(EmbeddedPostgres.program("pgbench")), "--no-vacuum", f"--file={file.name}"]
        command += [f"--{name}={value}" for name, value in options.items()]
        command += [f"--define={name}={value}" for name, value in variables.items()]
        command.append(parts.path.lstrip("/"))
        environment = {"PGPASSWORD": unquote(parts.password or "")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return _number(r"tps = ([\d.]+)", done.stdout), _number(r"latency average = ([\d.]+)", done.stdout)


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"pgbench said {text!r}")
    return float(found[1])


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0..1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(rounds: Mapping[str, Sequence[Mapping[str, float]]], limit: str) -> None:
    """Print every figure's median over the rounds, and the rate's ratio to ``limit``'s in the same round."""
    print(f"{'':34}{'per second':>12}{'spread':>8}{'ratio':>8}  others")
    for name, figures in rounds.items():
        rates = [figure["rate"] for figure in figures]
        ratio = statistics.median(
            rate / other["rate"] for rate, other in zip(rates, rounds[limit], strict=True)
        )
        spread = (max(rates) - min(rates)) / statistics.median(rates)
        others = "  ".join(
            f"{key} {statistics.median(figure[key] for figure in figures):.3g}"
            for key in figures[0]
            if key != "rate"
        )
        print(f"{name:34}{statistics.median(rates):12,.0f}{spread:8.0%}{ratio:8.2f}  {others}")
