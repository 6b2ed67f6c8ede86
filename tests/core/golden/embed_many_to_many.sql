-- GET /films?select=id,actors(name)

WITH pgrst_source AS (
SELECT "api"."films"."id", COALESCE( "films_actors_1"."films_actors_1", '[]') AS "actors"
FROM "api"."films"
LEFT JOIN LATERAL (
SELECT json_agg("films_actors_1")::jsonb AS "films_actors_1"
FROM (SELECT "api"."actors"."name"
FROM "api"."actors", "api"."roles"
WHERE "api"."roles"."actor_id" = "api"."actors"."id" AND "api"."roles"."film_id" = "api"."films"."id" ) AS "films_actors_1" ) AS "films_actors_1" ON TRUE )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."films"."id", COALESCE( "films_actors_1"."films_actors_1", '[]') AS "actors"
FROM "api"."films"
LEFT JOIN LATERAL (
SELECT json_agg("films_actors_1")::jsonb AS "films_actors_1"
FROM (SELECT "api"."actors"."name"
FROM "api"."actors", "api"."roles"
WHERE "api"."roles"."actor_id" = "api"."actors"."id" AND "api"."roles"."film_id" = "api"."films"."id" ) AS "films_actors_1" ) AS "films_actors_1" ON TRUE) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
