WITH pgrst_source AS (
  SELECT
    pgrst_call.pgrst_scalar
  FROM (
    SELECT
      "api"."many"(VARIADIC "words" := CAST($1 AS TEXT[])) AS pgrst_scalar
  ) AS pgrst_call
)
SELECT
  CAST(NULL AS BIGINT) AS total_result_set,
  1 AS page_total,
  COALESCE(JSON_AGG(_postgrest_t.pgrst_scalar) -> 0, 'null') AS body,
  NULLIF(CURRENT_SETTING('response.headers', TRUE), '') AS response_headers,
  NULLIF(CURRENT_SETTING('response.status', TRUE), '') AS response_status,
  NULL AS response_inserted
FROM (
  SELECT
    "many".*
  FROM "pgrst_source" AS "many"
) AS _postgrest_t
