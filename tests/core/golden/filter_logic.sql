-- GET /films?select=id&or=(year.eq.1,and(id.gt.2,id.lt.5),not.or(id.eq.7,seen.is.null))

WITH pgrst_source AS (
SELECT "api"."films"."id"
FROM "api"."films"
WHERE  ("api"."films"."year" = $1 OR  ("api"."films"."id" > $2 AND "api"."films"."id" < $3) OR NOT ("api"."films"."id" = $4 OR "api"."films"."seen" IS NULL)) )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = value 0, $2 = value 1, $3 = value 2, $4 = value 3

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."films"."id"
FROM "api"."films"
WHERE  ("api"."films"."year" = $1 OR  ("api"."films"."id" > $2 AND "api"."films"."id" < $3) OR NOT ("api"."films"."id" = $4 OR "api"."films"."seen" IS NULL))) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
-- $1 = value 0, $2 = value 1, $3 = value 2, $4 = value 3
