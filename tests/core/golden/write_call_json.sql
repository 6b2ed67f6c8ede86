WITH pgrst_source AS (
  SELECT
    pgrst_call.pgrst_scalar
  FROM (
    SELECT
      CAST($1 AS JSON) AS json_data
  ) AS pgrst_payload, LATERAL (
    SELECT
      "a"
    FROM JSON_TO_RECORD(pgrst_payload.json_data) AS _("a" INT)
    LIMIT 1
  ) AS pgrst_body, LATERAL (
    SELECT
      "api"."add"("a" := "pgrst_body"."a") AS pgrst_scalar
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
    "add".*
  FROM "pgrst_source" AS "add"
) AS _postgrest_t
