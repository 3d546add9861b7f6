-- all_terms: Return what each log knows of its tenant's retention.
SELECT tenant_id, retention_days, purged_before, held FROM tenaudit.logs ORDER BY tenant_id

-- write_default_days: Set the period of tenants that have none of their own, unless it is that already.
UPDATE tenaudit.retention_default SET days = $1, set_by = $2, set_at = $3 WHERE days <> $1

-- held_records: Return the newest record that placed a hold, of each tenant that is held.
SELECT DISTINCT ON (r.tenant_id) r.tenant_id, r.event_id, r.record
FROM tenaudit.retention_records AS r JOIN tenaudit.logs AS l ON l.tenant_id = r.tenant_id
WHERE l.held AND r.record::json ->> 'action' = $1 ORDER BY r.tenant_id, r.idx DESC

-- only_purge: Keep every other purge out until the transaction ends; tell whether none was there.
SELECT pg_try_advisory_xact_lock(8739430119)

-- wait_briefly: Give up on a lock soon, since others wait behind whoever waits for one.
SELECT set_config('lock_timeout', $1, true)

-- wait_idly: Let the transaction stand still for milliseconds.
SELECT set_config('idle_in_transaction_session_timeout', $1, true)

-- still_there: Tell that the transaction goes on.
SELECT true

-- count_old: Count a tenant's events that occurred before a time.
SELECT count(*) FROM tenaudit.events WHERE tenant_id = $1 AND occurred_at < $2

-- old_by_id: Return ids and times of events between two ids that occurred before a time; places where they have one.
-- Cut before it is joined: else all leaves are read for each part.
SELECT l.idx AS leaf_idx, e.event_id, e.occurred_at
FROM (
  SELECT tenant_id, event_id, occurred_at, log_index FROM tenaudit.events
  WHERE tenant_id = $1 AND occurred_at < $2 AND event_id > $4 AND event_id < $5 ORDER BY event_id LIMIT $3
) AS e LEFT JOIN tenaudit.leaves AS l ON l.tenant_id = e.tenant_id AND l.idx = e.log_index AND l.event_id = e.event_id
ORDER BY e.event_id

-- old_by_time: Return places, ids and times of logged events that occurred before a time, whatever their ids.
SELECT l.idx AS leaf_idx, e.event_id, e.occurred_at
FROM tenaudit.events AS e
JOIN tenaudit.leaves AS l ON l.tenant_id = e.tenant_id AND l.idx = e.log_index AND l.event_id = e.event_id
WHERE e.tenant_id = $1 AND e.occurred_at < $2 LIMIT $3

-- logged_events: Return a tenant's events of some places, each with its leaf; the bounds spare the other partitions.
SELECT l.idx AS leaf_idx, l.leaf_hash AS leaf_hash, e.*
FROM tenaudit.leaves AS l JOIN tenaudit.events AS e
  ON e.tenant_id = l.tenant_id AND e.event_id = l.event_id AND e.log_index = l.idx
WHERE l.tenant_id = $1 AND l.idx = ANY ($2::bigint[]) AND e.event_id BETWEEN $3 AND $4

-- delete_events: Delete events that occurred before a time; return how many. The bounds spare the other partitions.
WITH gone AS (
  DELETE FROM tenaudit.events AS e USING unnest($2::uuid[], $3::bigint[]) AS asked (event_id, idx)
  WHERE e.tenant_id = $1 AND e.event_id = asked.event_id AND e.log_index = asked.idx AND e.occurred_at < $4
    AND e.event_id BETWEEN $5 AND $6
  RETURNING true
)
SELECT count(*) FROM gone

-- insert_records: Keep the texts of records of retention that have just been appended.
INSERT INTO tenaudit.retention_records (tenant_id, idx, event_id, record)
SELECT e.tenant_id, e.log_index, e.event_id, n.record
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS n (tenant_id, event_id, record)
JOIN tenaudit.events AS e ON e.tenant_id = n.tenant_id AND e.event_id = n.event_id
WHERE e.event_id BETWEEN $4 AND $5
RETURNING true

-- write_purged: Note that everything that was purged of tenants occurred before a time of each.
UPDATE tenaudit.logs AS l SET purged_before = greatest(l.purged_before, n.before)
FROM unnest($1::uuid[], $2::timestamptz[]) AS n (tenant_id, before) WHERE l.tenant_id = n.tenant_id

-- write_retention_days: Set the period of a tenant.
UPDATE tenaudit.logs SET retention_days = $2 WHERE tenant_id = $1

-- write_held: Set whether a tenant is held.
UPDATE tenaudit.logs SET held = $2::integer <> 0 WHERE tenant_id = $1

-- delete_conflicts: Delete second contents; return how many.
WITH gone AS (
  DELETE FROM tenaudit.conflicts AS c USING unnest($2::uuid[], $3::bytea[]) AS asked (event_id, content_hash)
  WHERE c.tenant_id = $1 AND c.event_id = asked.event_id AND c.content_hash = asked.content_hash
  RETURNING true
)
SELECT count(*) FROM gone

-- month_partitions: List the partitions of months, oldest first.
SELECT c.relname AS name FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'tenaudit.events'::regclass AND c.relname ~ '^events_[0-9]{4}_[0-9]{2}$' ORDER BY c.relname

-- partition_tenants: List the tenants that have a row in the partition of a month.
SELECT tenant_id FROM tenaudit.partition_tenants($1) AS there (tenant_id)

-- holds_young: Tell whether a partition holds an event that may not go yet.
SELECT EXISTS (
  SELECT FROM tenaudit.events AS e
  JOIN unnest($3::uuid[], $4::timestamptz[]) AS n (tenant_id, before) ON e.tenant_id = n.tenant_id
  WHERE e.event_id >= $1 AND e.event_id < $2 AND e.occurred_at >= n.before
)

-- log_sizes: Return the sizes of logs.
SELECT tenant_id, size FROM tenaudit.logs WHERE tenant_id = ANY($1::uuid[])

-- partition_places: Return the ranges of places in the logs that a partition holds; NULLs for events without a place.
WITH placed AS (
  SELECT e.tenant_id, l.idx, e.occurred_at
  FROM tenaudit.events AS e LEFT JOIN tenaudit.leaves AS l
    ON l.tenant_id = e.tenant_id AND l.idx = e.log_index AND l.event_id = e.event_id
  WHERE e.event_id >= $1 AND e.event_id < $2
), islands AS (
  SELECT *, idx - row_number() OVER (PARTITION BY tenant_id ORDER BY idx) AS island FROM placed
)
SELECT tenant_id, min(idx) AS first, max(idx) AS last, max(occurred_at) AS newest
FROM islands GROUP BY tenant_id, island ORDER BY tenant_id, first LIMIT $3

-- partition_events: Return a tenant's events in a partition behind a place of its log, each with its leaf.
SELECT l.idx AS leaf_idx, l.leaf_hash AS leaf_hash, e.*
FROM tenaudit.leaves AS l JOIN tenaudit.events AS e
  ON e.tenant_id = l.tenant_id AND e.event_id = l.event_id AND e.log_index = l.idx
WHERE l.tenant_id = $1 AND l.idx > $2 AND e.event_id >= $3 AND e.event_id < $4 ORDER BY l.idx LIMIT $5

-- came_since: Tell whether a log has taken an event of a partition since it had a size.
SELECT EXISTS (
  SELECT FROM unnest($3::uuid[], $4::bigint[]) AS n (tenant_id, size)
  JOIN tenaudit.leaves AS l ON l.tenant_id = n.tenant_id AND l.idx >= n.size
  WHERE l.event_id >= $1 AND l.event_id < $2
)

-- drop_partition: Drop the partition of a month; tell whether it is gone.
SELECT tenaudit.drop_partition($1)
