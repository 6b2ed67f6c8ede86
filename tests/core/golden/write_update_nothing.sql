WITH pgrst_source AS (
  SELECT
    "parts"."sku"
  FROM "api"."parts"
  WHERE
    FALSE
)
SELECT
  NULL AS total_result_set,
  pg_catalog.count(_postgrest_t) AS page_total,
  NULL AS header,
  COALESCE(JSON_AGG(_postgrest_t), '[]') AS body,
  NULLIF(CURRENT_SETTING('response.headers', TRUE), '') AS response_headers,
  NULLIF(CURRENT_SETTING('response.status', TRUE), '') AS response_status,
  NULL AS response_inserted
FROM (
  SELECT
    "parts"."sku"
  FROM "pgrst_source" AS "parts"
) AS _postgrest_t
