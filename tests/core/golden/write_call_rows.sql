WITH pgrst_source AS (
  SELECT
    "pgrst_call"."sku",
    "pgrst_call"."stock"
  FROM "api"."FIND"("minimum" := CAST($1 AS INT)) AS pgrst_call
), pgrst_source_count AS (
  SELECT
    1
  FROM "pgrst_source" AS "parts"
  WHERE
    "parts"."stock" > $2
)
SELECT
  (
    SELECT
      pg_catalog.count(*)
    FROM pgrst_source_count
  ) AS total_result_set,
  pg_catalog.count(_postgrest_t) AS page_total,
  COALESCE(JSON_AGG(_postgrest_t), '[]') AS body,
  NULLIF(CURRENT_SETTING('response.headers', TRUE), '') AS response_headers,
  NULLIF(CURRENT_SETTING('response.status', TRUE), '') AS response_status,
  NULL AS response_inserted
FROM (
  SELECT
    "parts"."sku"
  FROM "pgrst_source" AS "parts"
  WHERE
    "parts"."stock" > $3
  ORDER BY
    "parts"."name"
  LIMIT $4
  OFFSET $5
) AS _postgrest_t
