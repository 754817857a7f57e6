-- What failed most in the last day, and whose failure it was.
SELECT
  blob4 AS error,
  blob5 AS source,
  SUM(_sample_interval) AS times
FROM ai_call_handler
WHERE blob1 = 'error' AND timestamp > NOW() - INTERVAL '1' DAY
GROUP BY error, source
ORDER BY times DESC
LIMIT 20
