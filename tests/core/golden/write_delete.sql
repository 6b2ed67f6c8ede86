WITH pgrst_source AS (
  DELETE FROM "api"."parts"
  WHERE
    "api"."parts"."stock" = ANY(
      $1
    )
  RETURNING 1
)
SELECT
  NULL AS total_result_set,
  pg_catalog.count(_postgrest_t) AS page_total,
  NULL AS header,
  CAST('' AS TEXT) AS body,
  NULLIF(CURRENT_SETTING('response.headers', TRUE), '') AS response_headers,
  NULLIF(CURRENT_SETTING('response.status', TRUE), '') AS response_status,
  NULL AS response_inserted
FROM (
  SELECT
    *
  FROM pgrst_source
) AS _postgrest_t
