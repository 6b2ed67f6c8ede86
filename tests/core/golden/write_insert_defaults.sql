WITH pgrst_source AS (
  INSERT INTO "api"."parts" (
    "name",
    "sku"
  )
  SELECT
    "pgrst_body"."name",
    "pgrst_body"."sku"
  FROM (
    SELECT
      CAST($1 AS JSONB) AS json_data
  ) AS pgrst_payload, LATERAL (
    SELECT
      JSONB_AGG(JSONB_BUILD_OBJECT('name', CAST('none' AS TEXT)) || elem) AS val
    FROM JSONB_ARRAY_ELEMENTS(pgrst_payload.json_data) AS elem
  ) AS pgrst_json_defs, LATERAL (
    SELECT
      "name",
      "sku"
    FROM JSONB_TO_RECORDSET(pgrst_json_defs.val) AS _("name" TEXT, "sku" TEXT)
  ) AS pgrst_body
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
