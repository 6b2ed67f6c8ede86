WITH pgrst_source AS (
  SELECT
    "pgrst_call"."name",
    "pgrst_call"."sku"
  FROM (
    SELECT
      CAST($1 AS JSON) AS json_data
  ) AS pgrst_payload, LATERAL (
    SELECT
      "minimum"
    FROM JSON_TO_RECORD(pgrst_payload.json_data) AS _("minimum" INT)
    LIMIT 1
  ) AS pgrst_body, LATERAL "api"."find"("minimum" := "pgrst_body"."minimum") AS pgrst_call
)
SELECT
  CAST(NULL AS BIGINT) AS total_result_set,
  pg_catalog.count(_postgrest_t) AS page_total,
  COALESCE(JSON_AGG(_postgrest_t), '[]') AS body,
  NULLIF(CURRENT_SETTING('response.headers', TRUE), '') AS response_headers,
  NULLIF(CURRENT_SETTING('response.status', TRUE), '') AS response_status,
  NULL AS response_inserted
FROM (
  SELECT
    "parts"."name",
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
        "lines_1"."sku" = "parts"."sku"
    ) AS "parts_lines_1"
  ) AS "parts_lines_1"
    ON TRUE
) AS _postgrest_t
