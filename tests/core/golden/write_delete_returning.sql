WITH pgrst_source AS (
  DELETE FROM "api"."lines"
  WHERE
    "api"."lines"."sku" = $1
  RETURNING "api"."lines"."n", "api"."lines"."order_id", "api"."lines"."sku"
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
    "lines"."n",
    CAST(ROW_TO_JSON("lines_parts_1".*) AS JSONB) AS "parts"
  FROM "pgrst_source" AS "lines"
  LEFT JOIN LATERAL (
    SELECT
      "parts_1"."name"
    FROM "api"."parts" AS "parts_1"
    WHERE
      "parts_1"."sku" = "lines"."sku"
  ) AS "lines_parts_1"
    ON TRUE
) AS _postgrest_t
