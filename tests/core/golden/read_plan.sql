-- GET /films
-- accept: application/vnd.pgrst.plan+json; options=analyze|buffers

EXPLAIN (FORMAT JSON, ANALYZE, BUFFERS) WITH pgrst_source AS (
SELECT "api"."films".*
FROM "api"."films" )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
