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
  ) AS pgrst_body
  RETURNING "api"."parts"."sku"
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
    "parts"."sku",
    COALESCE("parts_lines_1"."parts_lines_1", '[]') AS "lines"
  FROM "pgrst_source" AS "parts"
  LEFT JOIN LATERAL (
    SELECT
      CAST(JSON_AGG("parts_lines_1") AS JSONB) AS "parts_lines_1"
    FROM (
      SELECT
        "lines_1"."n"
      FROM "api"."lines" AS "lines_1"
      WHERE
        "lines_1"."n" > $2 AND "lines_1"."sku" = "parts"."sku"
    ) AS "parts_lines_1"
  ) AS "parts_lines_1"
    ON TRUE
) AS _postgrest_t
