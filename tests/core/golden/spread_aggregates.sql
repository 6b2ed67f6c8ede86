-- GET /awards?select=prize.sum(),...films(title)

WITH pgrst_source AS (
SELECT SUM("api"."awards"."prize"), "awards_films_1"."title"
FROM "api"."awards"
LEFT JOIN LATERAL (
SELECT "films_1"."title"
FROM "api"."films" AS "films_1"
WHERE "films_1"."id" = "api"."awards"."film_id" ) AS "awards_films_1" ON TRUE
GROUP BY "awards_films_1"."title" )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT SUM("api"."awards"."prize"), "awards_films_1"."title"
FROM "api"."awards"
LEFT JOIN LATERAL (
SELECT "films_1"."title"
FROM "api"."films" AS "films_1"
WHERE "films_1"."id" = "api"."awards"."film_id" ) AS "awards_films_1" ON TRUE
GROUP BY "awards_films_1"."title") _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
