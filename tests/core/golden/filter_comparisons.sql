-- GET /films?select=id&year=gte.1960&year=lt.1990&title=not.eq.Ran

WITH pgrst_source AS (
SELECT "api"."films"."id"
FROM "api"."films"
WHERE "api"."films"."year" >= $1 AND "api"."films"."year" < $2 AND NOT "api"."films"."title" = $3 )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = value 0, $2 = value 1, $3 = value 2

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."films"."id"
FROM "api"."films"
WHERE "api"."films"."year" >= $1 AND "api"."films"."year" < $2 AND NOT "api"."films"."title" = $3) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
-- $1 = value 0, $2 = value 1, $3 = value 2
