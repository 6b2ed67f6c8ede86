-- GET /directors?select=id,debut(title),best_films(id)

WITH pgrst_source AS (
SELECT "api"."directors"."id", row_to_json("directors_debut_1".*)::jsonb AS "debut", COALESCE( "directors_best_films_1"."directors_best_films_1", '[]') AS "best_films"
FROM "api"."directors"
LEFT JOIN LATERAL (
SELECT "films_1"."title"
FROM "api"."debut"("directors"::"api"."directors") AS "films_1" ) AS "directors_debut_1" ON TRUE
LEFT JOIN LATERAL (
SELECT json_agg("directors_best_films_1")::jsonb AS "directors_best_films_1"
FROM (SELECT "films_1"."id"
FROM "api"."best_films"("directors"::"api"."directors") AS "films_1" ) AS "directors_best_films_1" ) AS "directors_best_films_1" ON TRUE )
SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, NULL AS response_inserted
FROM (
SELECT *
FROM pgrst_source ) _postgrest_t;

(SELECT row_to_json(_postgrest_t)::text
FROM (SELECT "api"."directors"."id", row_to_json("directors_debut_1".*)::jsonb AS "debut", COALESCE( "directors_best_films_1"."directors_best_films_1", '[]') AS "best_films"
FROM "api"."directors"
LEFT JOIN LATERAL (
SELECT "films_1"."title"
FROM "api"."debut"("directors"::"api"."directors") AS "films_1" ) AS "directors_debut_1" ON TRUE
LEFT JOIN LATERAL (
SELECT json_agg("directors_best_films_1")::jsonb AS "directors_best_films_1"
FROM (SELECT "films_1"."id"
FROM "api"."best_films"("directors"::"api"."directors") AS "films_1" ) AS "directors_best_films_1" ) AS "directors_best_films_1" ON TRUE) _postgrest_t OFFSET 0) UNION ALL
SELECT json_build_array(nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), ''))::text
WHERE pg_backend_pid() IS NOT NULL;
