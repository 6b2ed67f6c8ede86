-- GET /films?select=id&details->crew->>camera=eq.x&tags->0=eq.y

WITH pgrst_source AS (
SELECT "api"."films"."id"
FROM "api"."films"
WHERE "api"."films"."details"->$1->>$2 = $3 AND to_jsonb("api"."films"."tags")->$4::int = $5 )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = 'crew', $2 = 'camera', $3 = value 0, $4 = '+0', $5 = value 1

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."films"."id"
FROM "api"."films"
WHERE "api"."films"."details"->$1->>$2 = $3 AND to_jsonb("api"."films"."tags")->$4::int = $5) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
-- $1 = 'crew', $2 = 'camera', $3 = value 0, $4 = '+0', $5 = value 1
