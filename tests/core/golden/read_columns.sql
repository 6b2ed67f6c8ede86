-- GET /films?select=id,name:title,year::text

WITH pgrst_source AS (
SELECT "api"."films"."id", "api"."films"."title" AS "name", CAST( "api"."films"."year" AS text )
FROM "api"."films" )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."films"."id", "api"."films"."title" AS "name", CAST( "api"."films"."year" AS text )
FROM "api"."films") _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
