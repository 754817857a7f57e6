-- How long callers waited for answers in the last day, in milliseconds, from their last voiced sample to the first audio; by campaign.
SELECT
  blob3 AS campaign,
  SUM(_sample_interval) AS answers,
  quantileExactWeighted(0.5)(double3, _sample_interval) AS p50,
  quantileExactWeighted(0.95)(double3, _sample_interval) AS p95
FROM ai_call_handler
WHERE blob1 = 'turn' AND blob5 = 'answered' AND timestamp > NOW() - INTERVAL '1' DAY
GROUP BY campaign
ORDER BY answers DESC
