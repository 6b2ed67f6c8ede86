-- GET /posters?paint=eq.0000FF

WITH pgrst_source AS (
SELECT "api"."posters"."id", "api"."posters"."film_id", "api"."colour_shown"("api"."posters"."paint") AS "paint"
FROM "api"."posters"
WHERE "api"."posters"."paint" = "api"."colour_read"($1) )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = value 0

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."posters"."id", "api"."posters"."film_id", "api"."colour_shown"("api"."posters"."paint") AS "paint"
FROM "api"."posters"
WHERE "api"."posters"."paint" = "api"."colour_read"($1)) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
-- $1 = value 0
