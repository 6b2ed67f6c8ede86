-- GET /films?select=id&limit=2
-- prefer: count=estimated

WITH pgrst_source AS (
SELECT "api"."films"."id"
FROM "api"."films"
LIMIT $1 OFFSET $2 ) , pgrst_source_count AS (SELECT 1
FROM "api"."films")
SELECT (SELECT pg_catalog.count(*)
FROM pgrst_source_count) AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = value 0, $2 = value 1

EXPLAIN (FORMAT JSON)
SELECT 1
FROM "api"."films";
