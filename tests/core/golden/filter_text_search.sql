-- GET /reviews?select=id&search=fts.cat&body=plfts(french).chat

WITH pgrst_source AS (
SELECT "api"."reviews"."id"
FROM "api"."reviews"
WHERE "api"."reviews"."search" @@ to_tsquery($1) AND to_tsvector($2, "api"."reviews"."body") @@ plainto_tsquery($3, $4) )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
-- $1 = value 0, $2 = 'french', $3 = 'french', $4 = value 1

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."reviews"."id"
FROM "api"."reviews"
WHERE "api"."reviews"."search" @@ to_tsquery($1) AND to_tsvector($2, "api"."reviews"."body") @@ plainto_tsquery($3, $4)) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
-- $1 = value 0, $2 = 'french', $3 = 'french', $4 = value 1
