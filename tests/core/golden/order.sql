-- GET /films?select=id&order=year.desc.nullslast,details->length,id.asc

WITH pgrst_source AS (
SELECT "api"."films"."id"
FROM "api"."films"
ORDER BY "api"."films"."year" DESC NULLS LAST, "api"."films"."details"->$1, "api"."films"."id" ASC )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = 'length'

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."films"."id"
FROM "api"."films"
ORDER BY "api"."films"."year" DESC NULLS LAST, "api"."films"."details"->$1, "api"."films"."id" ASC) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
-- $1 = 'length'
