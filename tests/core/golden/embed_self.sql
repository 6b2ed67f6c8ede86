-- GET /staff?select=id,boss(name),staff(name)

WITH pgrst_source AS (
SELECT "api"."staff"."id", row_to_json("staff_boss_1".*)::jsonb AS "boss", COALESCE( "staff_staff_1"."staff_staff_1", '[]') AS "staff"
FROM "api"."staff"
LEFT JOIN LATERAL (
SELECT "staff_1"."name"
FROM "api"."staff" AS "staff_1"
WHERE "staff_1"."id" = "api"."staff"."boss" ) AS "staff_boss_1" ON TRUE
LEFT JOIN LATERAL (
SELECT json_agg("staff_staff_1")::jsonb AS "staff_staff_1"
FROM (SELECT "staff_1"."name"
FROM "api"."staff" AS "staff_1"
WHERE "staff_1"."boss" = "api"."staff"."id" ) AS "staff_staff_1" ) AS "staff_staff_1" ON TRUE )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."staff"."id", row_to_json("staff_boss_1".*)::jsonb AS "boss", COALESCE( "staff_staff_1"."staff_staff_1", '[]') AS "staff"
FROM "api"."staff"
LEFT JOIN LATERAL (
SELECT "staff_1"."name"
FROM "api"."staff" AS "staff_1"
WHERE "staff_1"."id" = "api"."staff"."boss" ) AS "staff_boss_1" ON TRUE
LEFT JOIN LATERAL (
SELECT json_agg("staff_staff_1")::jsonb AS "staff_staff_1"
FROM (SELECT "staff_1"."name"
FROM "api"."staff" AS "staff_1"
WHERE "staff_1"."boss" = "api"."staff"."id" ) AS "staff_staff_1" ) AS "staff_staff_1" ON TRUE) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
