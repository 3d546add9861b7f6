-- bind: Name the tenants of this transaction and its deadlines; all of it ends with the transaction.
SELECT set_config('tenaudit.tenants', $1, true), set_config('statement_timeout', $2, true),
  set_config('lock_timeout', $2, true),
  -- Else a statement whose client is gone runs on, and holds its connection, until its time is up.
  set_config('client_connection_check_interval', '500ms', true)

-- read_secret: Return a secret of the store.
SELECT value FROM tenaudit.meta WHERE name = $1

-- add_logs: Begin the log of every tenant that has none.
INSERT INTO tenaudit.logs (tenant_id) SELECT * FROM unnest($1::uuid[]) ON CONFLICT DO NOTHING

-- lock_logs: Return the heads of logs and keep everybody else from them until the transaction ends.
SELECT tenant_id, size, frontier, seals, sealed FROM tenaudit.logs WHERE tenant_id = ANY($1::uuid[])
ORDER BY tenant_id FOR UPDATE

-- find_hashes: Return the keyed hashes of the events that are there already; the bounds spare the other partitions.
SELECT e.tenant_id, e.event_id, e.content_hash
FROM unnest($1::uuid[], $2::uuid[]) AS asked (tenant_id, event_id)
JOIN tenaudit.events AS e ON e.tenant_id = asked.tenant_id AND e.event_id = asked.event_id
WHERE e.event_id BETWEEN $3 AND $4

-- insert_events: Add events; what is there already is left as it is.
INSERT INTO tenaudit.events (
  tenant_id, event_id, occurred_at, actor_id, actor_type, action, resource_type, resource_id, outcome, severity,
  service, trace_id, schema_version, payload, redactions, producer_id, seq, content_hash, log_index
) SELECT * FROM unnest(
  $1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
  $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::text[], $16::text[], $17::bigint[],
  $18::bytea[], $19::bigint[]
) ON CONFLICT DO NOTHING

-- insert_leaves: Append leaves to logs.
INSERT INTO tenaudit.leaves (tenant_id, idx, event_id, leaf_hash)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bytea[])

-- write_logs: Set size and frontier of logs.
UPDATE tenaudit.logs AS l SET size = n.size, frontier = n.frontier
FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS n (tenant_id, size, frontier)
WHERE l.tenant_id = n.tenant_id

-- insert_conflicts: Keep the second contents of ids as evidence.
INSERT INTO tenaudit.conflicts (tenant_id, event_id, content_hash, record)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::text[]) ON CONFLICT DO NOTHING

-- make_partition: Make the partition of a month unless it is there; tell whether the month has one now.
SELECT tenaudit.make_partition($1)

-- may_write: Tell whether this connection may add events.
SELECT has_table_privilege('tenaudit.events', 'INSERT')

-- logged_tenants: List the tenants that have a log.
SELECT tenant_id FROM tenaudit.logs WHERE size > 0 ORDER BY tenant_id

-- known_tenants: List every tenant that any table mentions.
SELECT DISTINCT tenant_id FROM tenaudit.known_tenants() AS known (tenant_id) ORDER BY tenant_id

-- grown_logs: List the tenants whose logs have grown since their last checkpoint.
SELECT tenant_id FROM tenaudit.logs
WHERE size > sealed AND ($1::uuid IS NULL OR tenant_id = $1) ORDER BY tenant_id

-- insert_checkpoints: Write checkpoints.
INSERT INTO tenaudit.checkpoints (tenant_id, size, root, body, sealed_at)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::text[], $5::text[])

-- write_seals: Set the chains over checkpoints, and the sizes of the last ones.
UPDATE tenaudit.logs AS l SET seals = n.seals, sealed = n.sealed
FROM unnest($1::uuid[], $2::bytea[], $3::bigint[]) AS n (tenant_id, seals, sealed)
WHERE l.tenant_id = n.tenant_id

-- read_log: Return the head of a tenant's log.
SELECT size, frontier, seals, sealed FROM tenaudit.logs WHERE tenant_id = $1

-- read_checkpoints: Return the checkpoints of a tenant behind a size.
SELECT size, root, body, sealed_at FROM tenaudit.checkpoints WHERE tenant_id = $1 AND size > $2
ORDER BY size LIMIT $3

-- read_conflicts: Return the second contents that were kept of a tenant, behind a place.
SELECT event_id, content_hash, record FROM tenaudit.conflicts
WHERE tenant_id = $1 AND (event_id, content_hash) > ($2, $3)
ORDER BY event_id, content_hash LIMIT $4

-- walk_log: Return a tenant's log in order from a place, each leaf with the event row it belongs to, if that is there.
SELECT l.idx AS leaf_idx, l.event_id AS leaf_event_id, l.leaf_hash AS leaf_hash, e.*
FROM (
  SELECT * FROM tenaudit.leaves WHERE tenant_id = $1 AND idx > $2 ORDER BY idx LIMIT $3
) AS l LEFT JOIN tenaudit.events AS e
  ON e.tenant_id = l.tenant_id AND e.event_id = l.event_id AND e.log_index = l.idx
ORDER BY l.idx

-- strangers: List event rows that have no leaf.
SELECT e.event_id FROM tenaudit.events AS e
WHERE e.tenant_id = $1 AND e.event_id > $2
  AND NOT EXISTS (
    SELECT 1 FROM tenaudit.leaves AS l
    WHERE l.tenant_id = e.tenant_id AND l.idx = e.log_index AND l.event_id = e.event_id
  )
ORDER BY e.event_id LIMIT $3

-- count_events: Count the events of the tenants that the transaction names.
SELECT count(*) FROM tenaudit.events WHERE tenant_id = ANY($1::uuid[])

-- get_event: Return one event of a tenant.
SELECT * FROM tenaudit.events WHERE tenant_id = $1 AND event_id = $2

-- search_events: The start of every search; conditions on further columns, the order and the limit follow.
SELECT * FROM tenaudit.events WHERE tenant_id = $1

-- follow_log: Return a tenant's events from one index of its log on, in the order of the log.
SELECT l.idx AS leaf_idx, e.*
FROM tenaudit.leaves AS l JOIN tenaudit.events AS e
  ON e.tenant_id = l.tenant_id AND e.event_id = l.event_id AND e.log_index = l.idx
WHERE l.tenant_id = $1 AND l.idx >= $2 ORDER BY l.idx LIMIT $3

-- count_stats: The start of every count by kind; conditions, the order and the limit follow as with a search.
SELECT event_id, action, outcome, severity, occurred_at FROM tenaudit.events WHERE tenant_id = $1
