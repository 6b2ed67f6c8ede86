-- GET /films?select=id,...directors(by:name)

WITH pgrst_source AS (
SELECT "api"."films"."id", "films_directors_1"."by"
FROM "api"."films"
LEFT JOIN LATERAL (
SELECT "directors_1"."name" AS "by"
FROM "api"."directors" AS "directors_1"
WHERE "directors_1"."id" = "api"."films"."director_id" ) AS "films_directors_1" ON TRUE )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."films"."id", "films_directors_1"."by"
FROM "api"."films"
LEFT JOIN LATERAL (
SELECT "directors_1"."name" AS "by"
FROM "api"."directors" AS "directors_1"
WHERE "directors_1"."id" = "api"."films"."director_id" ) AS "films_directors_1" ON TRUE) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
