WITH pgrst_source AS (
  INSERT INTO "api"."lines" (
    "order_id",
    "sku"
  )
  SELECT
    "pgrst_body"."order_id",
    "pgrst_body"."sku"
  FROM (
    SELECT
      CAST($1 AS JSON) AS json_data
  ) AS pgrst_payload, LATERAL (
    SELECT
      "order_id",
      "sku"
    FROM JSON_TO_RECORD(pgrst_payload.json_data) AS _("order_id" INT, "sku" TEXT)
  ) AS pgrst_body
  RETURNING "api"."lines".*
)
SELECT
  NULL AS total_result_set,
  pg_catalog.count(_postgrest_t) AS page_total,
  CASE
    WHEN pg_catalog.count(_postgrest_t) = 1
    THEN (
      WITH data AS (
        SELECT
          ROW_TO_JSON(_) AS row
        FROM pgrst_source AS _
        LIMIT 1
      )
      SELECT
        JSON_AGG(JSON_BUILD_ARRAY(pair.key, COALESCE('eq.' || pair.value, 'is.null')))
      FROM data
      CROSS JOIN JSON_EACH_TEXT(data.row) AS pair
      WHERE
        pair.key IN ('sku', 'order_id')
    )
  END AS header,
  CAST('' AS TEXT) AS body,
  NULLIF(CURRENT_SETTING('response.headers', TRUE), '') AS response_headers,
  NULLIF(CURRENT_SETTING('response.status', TRUE), '') AS response_status,
  NULL AS response_inserted
FROM (
  SELECT
    *
  FROM pgrst_source
) AS _postgrest_t
