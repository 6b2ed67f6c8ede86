-- GET /directors?select=id,films(id)&films.year=eq.1&films.order=id&films.limit=1

WITH pgrst_source AS (
SELECT "api"."directors"."id", COALESCE( "directors_films_1"."directors_films_1", '[]') AS "films"
FROM "api"."directors"
LEFT JOIN LATERAL (
SELECT json_agg("directors_films_1")::jsonb AS "directors_films_1"
FROM (SELECT "films_1"."id"
FROM "api"."films" AS "films_1"
WHERE "films_1"."year" = $1 AND "films_1"."director_id" = "api"."directors"."id"
ORDER BY "films_1"."id"
LIMIT $2 OFFSET $3 ) AS "directors_films_1" ) AS "directors_films_1" ON TRUE )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = value 0, $2 = value 1, $3 = value 2

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."directors"."id", COALESCE( "directors_films_1"."directors_films_1", '[]') AS "films"
FROM "api"."directors"
LEFT JOIN LATERAL (
SELECT json_agg("directors_films_1")::jsonb AS "directors_films_1"
FROM (SELECT "films_1"."id"
FROM "api"."films" AS "films_1"
WHERE "films_1"."year" = $1 AND "films_1"."director_id" = "api"."directors"."id"
ORDER BY "films_1"."id"
LIMIT $2 OFFSET $3 ) AS "directors_films_1" ) AS "directors_films_1" ON TRUE) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
-- $1 = value 0, $2 = value 1, $3 = value 2
