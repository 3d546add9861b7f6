-- lock_schema: Let one creator of tables in at a time; CREATE TABLE IF NOT EXISTS alone fails when two of them meet.
SELECT pg_advisory_xact_lock($1)

-- insert_entry: Add one event, in whatever transaction is open.
INSERT INTO tenaudit_outbox (shard, event_id, tenant_id, event) VALUES ($1, $2, $3, $4)

-- insert_entries: Add a batch, numbered in its order.
INSERT INTO tenaudit_outbox (shard, event_id, tenant_id, event)
SELECT shard, event_id, tenant_id, event
FROM unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::text[]) WITH ORDINALITY
  AS entry (shard, event_id, tenant_id, event, place)
ORDER BY place

-- claim_shard: Hold the shard with entries that was served longest ago and that nobody holds.
UPDATE tenaudit_outbox_shards AS held
SET epoch = held.epoch + 1, claimed_until = clock_timestamp() + $1 * interval '1 second', owner = $2
WHERE held.shard = (
  SELECT free.shard FROM tenaudit_outbox_shards AS free
  WHERE free.claimed_until <= clock_timestamp()
    AND EXISTS (SELECT FROM tenaudit_outbox AS entry WHERE entry.shard = free.shard)
  ORDER BY free.claimed_until, free.shard
  LIMIT 1
  FOR UPDATE OF free SKIP LOCKED
)
RETURNING held.shard, held.epoch

-- read_entries: Return the oldest entries of a held shard, up to a number of bytes but one at least.
SELECT batch.id, batch.event
FROM (
  SELECT oldest.*, sum(octet_length(oldest.event)) OVER (ORDER BY oldest.id) - octet_length(oldest.event) AS before
  FROM (
    SELECT entry.id, entry.event FROM tenaudit_outbox AS entry
    WHERE entry.shard = $1
      AND EXISTS (SELECT FROM tenaudit_outbox_shards AS held WHERE held.shard = $1 AND held.epoch = $2)
    ORDER BY entry.id LIMIT $3
  ) AS oldest
) AS batch
WHERE batch.before < $4
ORDER BY batch.id

-- renew_lease: Hold a shard on, unless it was claimed by another since; its row stays locked until the transaction ends.
UPDATE tenaudit_outbox_shards SET claimed_until = clock_timestamp() + $3 * interval '1 second'
WHERE shard = $1 AND epoch = $2
RETURNING epoch

-- delete_entries: Delete what the sink has.
DELETE FROM tenaudit_outbox WHERE shard = $1 AND id = ANY ($2::bigint[])

-- bury_entries: Move what the sink refuses aside.
WITH gone AS (
  DELETE FROM tenaudit_outbox WHERE shard = $1 AND id = ANY ($2::bigint[])
  RETURNING id, shard, event_id, tenant_id, event, enqueued_at
)
INSERT INTO tenaudit_outbox_dead (id, shard, event_id, tenant_id, event, enqueued_at, reason)
SELECT gone.*, said.reason
FROM gone JOIN unnest($2::bigint[], $3::text[]) AS said (id, reason) ON said.id = gone.id

-- release_lease: Let others have a shard at once.
UPDATE tenaudit_outbox_shards SET claimed_until = clock_timestamp(), owner = '' WHERE shard = $1 AND epoch = $2

-- see_backlog: Count what waits, up to a bound, and return the age of the oldest in seconds.
SELECT
  (SELECT count(*) FROM (SELECT FROM tenaudit_outbox LIMIT $1) AS counted) AS entries,
  (
    SELECT coalesce(greatest(extract(epoch FROM clock_timestamp() - min(oldest.enqueued_at)), 0), 0)::double precision
    FROM tenaudit_outbox_shards AS known
    CROSS JOIN LATERAL (
      SELECT entry.enqueued_at FROM tenaudit_outbox AS entry WHERE entry.shard = known.shard ORDER BY entry.id LIMIT 1
    ) AS oldest
  ) AS oldest_age
