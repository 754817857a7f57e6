-- Calls that began, a second, in steps of five minutes of the last day.
SELECT
  toStartOfInterval(timestamp, INTERVAL '5' MINUTE) AS step,
  SUM(_sample_interval) / 300 AS calls_per_second
FROM ai_call_handler
WHERE blob1 = 'start' AND timestamp > NOW() - INTERVAL '1' DAY
GROUP BY step
ORDER BY step
