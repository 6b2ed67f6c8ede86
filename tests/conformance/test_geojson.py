"""Feature collections: what ``application/geo+json`` is answered with, on a real PostGIS, and without one.

Where the server has no PostGIS, the tests that need it are skipped, and say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Server

from .conftest import BY_DEFAULT
from .serving import Answer, Api, MakeApi, error, serving

GEOJSON = "application/geo+json"
REPRESENTED = "return=representation, tx=rollback"
SQL = """
create schema geo;
create extension postgis schema geo;
create schema api;
grant usage on schema api, geo to anon;
set search_path = api, geo;
create table cinemas (
    id int primary key, name text, place geometry(point, 4326), ground geometry(polygon, 4326)
);
create table screens (id int primary key, cinema_id int references cinemas, spot geometry(point, 4326));
create table seats (id int primary key);
create function cinema(id int) returns cinemas stable language sql as
    'select * from api.cinemas where id = $1';
insert into cinemas values
    (1, 'Roxy', 'SRID=4326;POINT(2.5 48.25)', 'SRID=4326;POLYGON((0 0, 1 0, 1 1, 0 0))'),
    (2, 'Rex', 'SRID=4326;POINT(-3.5 51)', null);
insert into seats values (1);
insert into screens values (7, 1, 'SRID=4326;POINT(2.5 48.5)');
grant all on all tables in schema api to anon;
"""
WITH_POINT = "select=id,name,place"


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def point(*coordinates: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(coordinates)}


def collection(*features: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


ROXY = feature(point(2.5, 48.25), id=1, name="Roxy")
REX = feature(point(-3.5, 51), id=2, name="Rex")
CRS = {"type": "name", "properties": {"name": "EPSG:4326"}}


@pytest.fixture(scope="module")
def geo(postgres: Server) -> Iterator[Api]:
    """The cinemas, served; skipped where PostGIS cannot be installed."""
    with psycopg.connect(postgres.admin_uri) as admin:
        known = admin.execute("select from pg_available_extensions where name = 'postgis'").fetchone()
    if known is None:
        pytest.skip("this PostgreSQL has no PostGIS")
    with postgres.database(SQL) as uri, serving(uri, BY_DEFAULT) as serve:
        yield serve(db_extra_search_path="geo")


def collected(answer: Answer, status: int = 200) -> Any:
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/geo+json; charset=utf-8"
    return answer.json


def test_rows_are_a_collection_of_features(geo: Api) -> None:
    answer = geo.get(f"/cinemas?{WITH_POINT}&order=id", accept=GEOJSON)
    assert collected(answer) == collection(ROXY, REX)
    assert answer.headers["content-range"] == "0-1/*"


def test_no_rows_are_an_empty_collection(geo: Api) -> None:
    assert collected(geo.get("/cinemas?id=gt.9", accept=GEOJSON)) == collection()


def test_the_first_geometry_of_a_row_is_the_features_own(geo: Api) -> None:
    ground = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    by_ground = geo.get("/cinemas?select=ground,id&id=eq.1", accept=GEOJSON)
    assert collected(by_ground) == collection(feature(ground, id=1))
    whole = collected(geo.get("/cinemas?id=eq.1", accept=GEOJSON))["features"][0]
    assert whole["geometry"] == point(2.5, 48.25)
    assert whole["properties"]["ground"]["coordinates"] == ground["coordinates"]


@pytest.mark.parametrize("target", ["/seats", "/cinemas?select=id"])
def test_rows_without_a_geometry_are_refused(geo: Api, target: str) -> None:
    answer = geo.get(target, accept=GEOJSON)
    assert answer.status == 400
    assert answer.json == error("22023", "geometry column is missing")


def test_embedded_rows_are_properties(geo: Api) -> None:
    answer = geo.get("/cinemas?select=id,place,screens(id,spot)&id=eq.1", accept=GEOJSON)
    screens = [{"id": 7, "spot": {**point(2.5, 48.5), "crs": CRS}}]
    assert collected(answer) == collection(feature(point(2.5, 48.25), id=1, screens=screens))


def test_a_function_of_a_table_is_a_collection_too(geo: Api) -> None:
    answer = geo.get(f"/rpc/cinema?id=2&{WITH_POINT}", accept=GEOJSON)
    assert collected(answer) == collection(REX)


WRITES = {
    "insert": ("POST /cinemas", {"id": 3, "name": "Odeon", "place": "SRID=4326;POINT(1 2)"}, 201),
    "update": ("PATCH /cinemas?id=eq.2", {"name": "Odeon", "place": "SRID=4326;POINT(1 2)"}, 200),
    "replace": ("PUT /cinemas?id=eq.2", {"id": 2, "name": "Odeon", "place": "SRID=4326;POINT(1 2)"}, 200),
}


@pytest.mark.parametrize(("request_line", "body", "status"), WRITES.values(), ids=WRITES)
def test_written_rows_are_features(geo: Api, request_line: str, body: Any, status: int) -> None:
    sign = "&" if "?" in request_line else "?"
    answer = geo(f"{request_line}{sign}select=name,place", body, prefer=REPRESENTED, accept=GEOJSON)
    assert collected(answer, status) == collection(feature(point(1, 2), name="Odeon"))


def test_deleted_rows_are_features(geo: Api) -> None:
    answer = geo("DELETE /screens?id=eq.7&select=id,spot", prefer=REPRESENTED, accept=GEOJSON)
    assert collected(answer) == collection(feature(point(2.5, 48.5), id=7))


def test_a_head_request_has_the_type_and_no_body(geo: Api) -> None:
    answer = geo("HEAD /cinemas", accept=GEOJSON)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/geo+json; charset=utf-8"
    assert answer.body == b""


def test_geometries_in_json_are_objects(geo: Api) -> None:
    assert geo.rows("/cinemas?select=place&id=eq.1") == [{"place": {**point(2.5, 48.25), "crs": CRS}}]


def test_without_the_extension_the_function_is_missing(serve: MakeApi) -> None:
    answer = serve().get("/films", accept=GEOJSON)
    assert answer.status == 404
    hint = "No function matches the given name and argument types. You might need to add explicit type casts."
    assert answer.json == error("42883", "function st_asgeojson(record) does not exist", hint=hint)
