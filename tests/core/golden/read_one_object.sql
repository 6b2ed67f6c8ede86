-- GET /films?id=eq.1
-- accept: application/vnd.pgrst.object+json

WITH pgrst_source AS (
SELECT "api"."films".*
FROM "api"."films"
WHERE "api"."films"."id" = $1 )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t)->0, 'null') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = value 0
