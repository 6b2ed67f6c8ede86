-- GET /directors?select=id,films(id,awards(name))&films.awards.prize=gt.100

WITH pgrst_source AS (
SELECT "api"."directors"."id", COALESCE( "directors_films_1"."directors_films_1", '[]') AS "films"
FROM "api"."directors"
LEFT JOIN LATERAL (
SELECT json_agg("directors_films_1")::jsonb AS "directors_films_1"
FROM (SELECT "films_1"."id", COALESCE( "films_awards_2"."films_awards_2", '[]') AS "awards"
FROM "api"."films" AS "films_1"
LEFT JOIN LATERAL (
SELECT json_agg("films_awards_2")::jsonb AS "films_awards_2"
FROM (SELECT "awards_2"."name"
FROM "api"."awards" AS "awards_2"
WHERE "awards_2"."prize" > $1 AND "awards_2"."film_id" = "films_1"."id" ) AS "films_awards_2" ) AS "films_awards_2" ON TRUE
WHERE "films_1"."director_id" = "api"."directors"."id" ) AS "directors_films_1" ) AS "directors_films_1" ON TRUE )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = value 0

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."directors"."id", COALESCE( "directors_films_1"."directors_films_1", '[]') AS "films"
FROM "api"."directors"
LEFT JOIN LATERAL (
SELECT json_agg("directors_films_1")::jsonb AS "directors_films_1"
FROM (SELECT "films_1"."id", COALESCE( "films_awards_2"."films_awards_2", '[]') AS "awards"
FROM "api"."films" AS "films_1"
LEFT JOIN LATERAL (
SELECT json_agg("films_awards_2")::jsonb AS "films_awards_2"
FROM (SELECT "awards_2"."name"
FROM "api"."awards" AS "awards_2"
WHERE "awards_2"."prize" > $1 AND "awards_2"."film_id" = "films_1"."id" ) AS "films_awards_2" ) AS "films_awards_2" ON TRUE
WHERE "films_1"."director_id" = "api"."directors"."id" ) AS "directors_films_1" ) AS "directors_films_1" ON TRUE) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
-- $1 = value 0
