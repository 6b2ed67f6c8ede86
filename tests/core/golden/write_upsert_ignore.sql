WITH pgrst_source AS (
  INSERT INTO "api"."parts" (
    "sku",
    "stock"
  )
  SELECT
    "pgrst_body"."sku",
    "pgrst_body"."stock"
  FROM (
    SELECT
      CAST($1 AS JSON) AS json_data
  ) AS pgrst_payload, LATERAL (
    SELECT
      "sku",
      "stock"
    FROM JSON_TO_RECORD(pgrst_payload.json_data) AS _("sku" TEXT, "stock" INT)
  ) AS pgrst_body ON CONFLICT("name") DO NOTHING
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
