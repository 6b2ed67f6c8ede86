"""The soak's world: its tables, its roles, who watches what, and what each of them may see.

What lives here: definitions only. ``api.ledger`` gets a row in every transaction of the writers;
``api.accounts`` keep their sum in every one. Every other row carries ``v``, a number no two row versions
share, and triggers write each version that ever was into ``soak.audit``, in the order its key had them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiodata_django.core.state.session import Subscription

ACCOUNTS, TOTAL = 10, 1000
PEOPLE = ("ann", "bob", "cleo")
ROOMS = 4

_CLAIM = "(current_setting('request.jwt.claims', true)::json ->> 'sub')"
OWN = f"owner = {_CLAIM}"
OWN_OR_PINNED = f"{OWN} or pinned"

_TABLES = f"""
create schema api;
create schema soak;
create sequence soak.versions;
create table soak.audit (
    seq bigint generated always as identity primary key,
    tab text not null, v bigint not null, row json not null);

create table api.plain (id int primary key, value int not null default 0, note text, v bigint);
create table api.notes (
    id int primary key, owner text, pinned bool not null default false, body text, v bigint);
create table api.members (who text, room int, v bigint, primary key (who, room));
create table api.messages (id int primary key, room int, body text, v bigint);
create table api.pairs (a int, b text, amount numeric(10,2), v bigint, primary key (a, b));
create table api.events (day int, id int, body text, v bigint, primary key (day, id)) partition by list (day);
create table api.events_0 partition of api.events for values in (0);
create table api.events_1 partition of api.events for values in (1);
create table api.events_2 partition of api.events default;
create table api.documents (id int primary key, n int not null, big text, content json, v bigint);
alter table api.documents alter big set storage external;
create table api.accounts (id int primary key, balance int not null, v bigint);
create table api.ledger (writer int, n int, primary key (writer, n));

alter table api.notes enable row level security;
create policy mine on api.notes for select to auth using ({OWN_OR_PINNED});
create policy all_of_them on api.notes to clerk using (true);
alter table api.messages enable row level security;
create policy joined on api.messages for select to auth using (
    exists (select from api.members m where m.who = {_CLAIM} and m.room = messages.room));
create policy all_of_them on api.messages to clerk using (true);

create function soak.stamp() returns trigger language plpgsql security definer as $$
    begin new.v := nextval('soak.versions'); return new; end $$;
create function soak.note() returns trigger language plpgsql security definer as $$
begin
    insert into soak.audit (tab, v, row) values (tg_argv[0], new.v, row_to_json(new));
    return null;
end $$;
create function api.act(w int, n int, k int, x int) returns void language sql as $$
    insert into api.ledger values (w, n);
    insert into api.plain (id, value, note) values (k, x, 'http')
        on conflict (id) do update set value = excluded.value, note = 'http';
$$;
"""

STAMPED = ("plain", "notes", "members", "messages", "pairs", "events", "documents", "accounts")

_GRANTS = """
grant usage on schema api to anon, auth, clerk;
grant select on all tables in schema api to auth, clerk;
grant insert, update, delete on all tables in schema api to clerk;
grant select (id, value, v) on api.plain to anon;
grant select on api.pairs, api.accounts, api.ledger, api.events to anon;
"""

ROLES = """
create role anon nologin; create role auth nologin; create role clerk nologin;
create role authenticator login noinherit replication password 'authenticator' in role anon, auth, clerk;
"""


def schema_sql() -> str:
    """Everything in the database, first rows included."""
    triggers = "".join(
        f"create trigger stamp before insert or update on api.{t} for each row"
        f" execute function soak.stamp();"
        f"create trigger note after insert or update on api.{t} for each row"
        f" execute function soak.note('{t}');"
        for t in STAMPED
    )
    each = TOTAL // ACCOUNTS
    rows = f"insert into api.accounts select n, {each} from generate_series(1, {ACCOUNTS}) n;"
    return _TABLES + triggers + _GRANTS + rows


Row = Mapping[str, Any]


@dataclass(frozen=True)
class Watched:
    """One subscription: what the server is asked for, and the same in SQL and Python."""

    id: int
    table: str
    query: str = ""
    where: str = "true"
    columns: tuple[str, ...] = ()
    holds: Callable[[Row], bool] = lambda row: True

    @property
    def asks_for_all(self) -> bool:
        """Whether it is all rows of all tables."""
        return self.table == "*"

    @property
    def asked(self) -> Subscription:
        """As the session asks for it."""
        return Subscription(self.id, self.table, self.query)


EVERYTHING = Watched(0, "*")
MARKERS = Watched(9, "ledger", "writer=eq.0", "writer = 0", holds=lambda row: row["writer"] == 0)


@dataclass(frozen=True)
class Seat:
    """Somebody who watches: role, claims, subscriptions. ``short`` tokens live seconds, ``lazy`` ones are
    not renewed before they end; ``through`` names the kind of client. ``others`` are whom the same socket may
    speak for with its next token."""

    name: str
    role: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    watched: tuple[Watched, ...] = (EVERYTHING,)
    short: bool = False
    lazy: bool = False
    through: str = "wire"
    others: tuple[Seat, ...] = ()

    def may_see(self, table: str, row: Row, members_ever: set[tuple[str, int]]) -> bool:
        """Whether any policy that ever held let this role see the row."""
        sub = self.claims.get("sub")
        if self.role == "anon":
            return table != "plain" or set(row) <= {"id", "value", "v"}
        if self.role == "clerk":
            return True
        if table == "notes":
            return bool(row["owner"] == sub or row["pinned"])
        return table != "messages" or (str(sub), row["room"]) in members_ever


CLAIMED = ("notes",)
"""Tables whose rows are seen or not for what they themselves are. Where policies read other tables, which
change meanwhile, a row's end may be told to one who could have read it had it lived a moment longer."""

_RICH = Watched(1, "plain", "value=gte.50&select=id,value,v", "value >= 50", ("id", "value", "v"))
_NOTES = Watched(2, "notes", "select=id,owner,pinned,v", "true", ("id", "owner", "pinned", "v"))
_FEW = Watched(3, "documents", "n=lt.50", "n < 50", holds=lambda row: row["n"] < 50)
_PAIRS = Watched(4, "pairs", "b=in.(x,y)", "b in ('x', 'y')", holds=lambda row: row["b"] in "xy")
_LOW = Watched(5, "plain", "id=lt.20", "id < 20", holds=lambda row: row["id"] < 20)
_SMALL = Watched(6, "plain", "value=lt.50", "value < 50", holds=lambda row: row["value"] < 50)
_ROOM = Watched(7, "messages", "room=eq.2", "room = 2", holds=lambda row: row["room"] == 2)
_MONEY = Watched(8, "accounts")


def seats() -> tuple[Seat, ...]:
    """Everybody who watches."""
    ann, bob, cleo = ({"sub": person} for person in PEOPLE)
    faces = Seat("", "auth", bob), Seat("", "clerk"), Seat("", "auth", cleo), Seat("", "anon")
    return (
        Seat("ann", "auth", ann),
        Seat("ann-too", "auth", ann, through="client"),
        Seat("bob", "auth", bob, short=True),
        Seat("cleo", "auth", cleo, through="client", short=True),
        Seat("cleo-lazy", "auth", cleo, short=True, lazy=True),
        Seat("clerk", "clerk"),
        Seat("clerk-too", "clerk", through="client"),
        Seat("nobody", "anon"),
        Seat("some-of-it", "auth", ann, (_RICH, _NOTES, _FEW, _MONEY, MARKERS)),
        Seat("other-parts", "clerk", {}, (_PAIRS, _ROOM, _FEW, _MONEY, MARKERS), short=True),
        Seat("overlap", "auth", bob, (_LOW, _SMALL, _ROOM, MARKERS)),
        Seat("overlap-too", "auth", cleo, (_LOW, _SMALL, _FEW, MARKERS), through="client"),
        _of_many_faces(Seat("turncoat", "auth", ann, short=True), faces),
        _of_many_faces(Seat("turncoat-too", "auth", ann, through="client", short=True), faces),
    )


def _of_many_faces(seat: Seat, faces: tuple[Seat, ...]) -> Seat:
    return replace(seat, others=tuple(replace(seat, role=f.role, claims=f.claims) for f in faces))
