-- GET /films
-- accept: text/csv

WITH pgrst_source AS (
SELECT "api"."films".*
FROM "api"."films" )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, (SELECT coalesce(string_agg(a.k, ','), '')
FROM (SELECT json_object_keys(r)::text AS k
FROM (SELECT row_to_json(hh) AS r
FROM pgrst_source AS hh
LIMIT 1) s) a) || '
' || coalesce(string_agg(substring(_postgrest_t::text, 2, length(_postgrest_t::text) - 2), '
'), '') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;
