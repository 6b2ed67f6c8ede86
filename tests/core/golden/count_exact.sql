-- GET /films?select=id,awards!inner(id)&year=gt.1980&limit=2
-- prefer: count=exact

WITH pgrst_source AS (
SELECT "api"."films"."id", COALESCE( "films_awards_1"."films_awards_1", '[]') AS "awards"
FROM "api"."films"
INNER JOIN LATERAL (
SELECT json_agg("films_awards_1")::jsonb AS "films_awards_1"
FROM (SELECT "awards_1"."id"
FROM "api"."awards" AS "awards_1"
WHERE "awards_1"."film_id" = "api"."films"."id" ) AS "films_awards_1" ) AS "films_awards_1" ON "films_awards_1" IS NOT NULL
WHERE "api"."films"."year" > $1
LIMIT $2 OFFSET $3 ) , pgrst_source_count AS (SELECT 1
FROM "api"."films"
WHERE "api"."films"."year" > $4 AND EXISTS (SELECT 1
FROM "api"."awards" AS "awards_1"
WHERE "awards_1"."film_id" = "api"."films"."id" ))
SELECT (SELECT pg_catalog.count(*)
FROM pgrst_source_count) AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = value 0, $2 = value 1, $3 = value 2, $4 = value 0
