-- Who called most in the last day, under the pseudonym that `npm run report` prints beside each user's id.
SELECT
  blob2 AS pseudonym,
  SUM(_sample_interval) AS calls,
  SUM(_sample_interval * double1) AS seconds
FROM ai_call_handler
WHERE blob1 = 'user' AND timestamp > NOW() - INTERVAL '1' DAY
GROUP BY pseudonym
ORDER BY calls DESC
LIMIT 20
