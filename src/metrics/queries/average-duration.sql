-- Calls that ended in the last day, their average length in seconds, and the share of them that failed; by campaign.
SELECT
  blob3 AS campaign,
  SUM(_sample_interval) AS calls,
  SUM(_sample_interval * double1) / SUM(_sample_interval) AS average_seconds,
  SUM(if(blob4 = 'failed', _sample_interval, 0)) / SUM(_sample_interval) AS error_rate
FROM ai_call_handler
WHERE blob1 = 'call' AND timestamp > NOW() - INTERVAL '1' DAY
GROUP BY campaign
ORDER BY calls DESC
