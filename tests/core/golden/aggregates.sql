-- GET /awards?select=film_id,prize.sum(),n:count()::text

WITH pgrst_source AS (
SELECT "api"."awards"."film_id", SUM("api"."awards"."prize"), CAST( COUNT("api"."awards".*) AS text ) AS "n"
FROM "api"."awards"
GROUP BY "api"."awards"."film_id" )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."awards"."film_id", SUM("api"."awards"."prize"), CAST( COUNT("api"."awards".*) AS text ) AS "n"
FROM "api"."awards"
GROUP BY "api"."awards"."film_id") _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
