-- bind: Name the tenants of this transaction and its deadlines; all of it ends with the transaction.
-- No function or operator of another schema stands in for one of PostgreSQL's.
SELECT set_config('search_path', 'pg_catalog, pg_temp', true), set_config('tenaudit.tenants', '{tenants}', true), set_config('statement_timeout', '{within}', true),
  set_config('lock_timeout', '{within}', true),
  -- Else a client that stands still, or whose end the network hides, keeps the logs that it has locked for hours.
  set_config('idle_in_transaction_session_timeout', '{within}', true),
  -- Else a statement whose client is gone runs on, and holds its connection, until its time is up.
  set_config('client_connection_check_interval', '500ms', true)

-- read_secret: Return a secret of the store.
SELECT value FROM tenaudit.meta WHERE name = $1

-- add_logs: Begin the log of every tenant that has none.
INSERT INTO tenaudit.logs (tenant_id) SELECT * FROM unnest($1::uuid[]) ON CONFLICT DO NOTHING

-- lock_logs: Return the heads of logs and keep everybody else from them until the transaction ends.
SELECT tenant_id, size, frontier, seals, sealed, retention_days, purged_before, held
FROM tenaudit.logs WHERE tenant_id = ANY($1::uuid[])
ORDER BY tenant_id FOR UPDATE

-- find_rows: Return what tells the content of events that are there already; the bounds spare the other partitions.
-- Ids as the text of an array: an array of their own type is a tenth of all the work of the one who sends it.
SELECT e.tenant_id, e.event_id, e.content_hash, e.salts, e.commitments
FROM unnest($1::text::uuid[], $2::text::uuid[]) AS asked (tenant_id, event_id)
JOIN tenaudit.events AS e ON e.tenant_id = asked.tenant_id AND e.event_id = asked.event_id
WHERE e.event_id BETWEEN $3 AND $4

-- extend_logs: Add events, append their leaves and set the heads of their logs; return how many events were added.
-- An array of rows and not one of each column: that is half the work of the one who sends it. $2 is its leaf hashes,
-- 32 bytes each.
WITH added AS (
  INSERT INTO tenaudit.events SELECT * FROM unnest($1::tenaudit.events[]) ON CONFLICT DO NOTHING RETURNING true
), appended AS (
  INSERT INTO tenaudit.leaves (tenant_id, idx, event_id, leaf_hash)
  SELECT n.tenant_id, n.log_index, n.event_id, substr($2::bytea, (n.ordinality::integer - 1) * 32 + 1, 32)
  FROM unnest($1::tenaudit.events[]) WITH ORDINALITY AS n
), written AS (
  UPDATE tenaudit.logs AS l SET size = n.size, frontier = n.frontier
  FROM unnest($3::uuid[], $4::bigint[], $5::bytea[]) AS n (tenant_id, size, frontier)
  WHERE l.tenant_id = n.tenant_id
), kept AS (
  -- The roots of complete subtrees; one that is there stays, for verification to judge.
  INSERT INTO tenaudit.subtrees (tenant_id, level, place, root)
  SELECT * FROM unnest($6::uuid[], $7::smallint[], $8::bigint[], $9::bytea[]) ON CONFLICT DO NOTHING
)
SELECT count(*) FROM added

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
SELECT size, frontier, seals, sealed, retention_days, purged_before, held
FROM tenaudit.logs WHERE tenant_id = $1

-- read_checkpoints: Return the checkpoints of a tenant behind a size.
SELECT size, root, body, sealed_at FROM tenaudit.checkpoints
WHERE tenant_id = $1 AND ($2::bigint IS NULL OR size > $2) ORDER BY size LIMIT $3

-- newest_checkpoints: Return the newest checkpoint of each of some tenants.
SELECT asked.tenant_id, c.size, c.root
FROM unnest($1::uuid[]) AS asked (tenant_id) CROSS JOIN LATERAL (
  -- The one that its log names: whatever else somebody put there is not to be signed.
  SELECT c.size, c.root FROM tenaudit.checkpoints AS c JOIN tenaudit.logs AS l USING (tenant_id)
  WHERE l.tenant_id = asked.tenant_id AND c.size = l.sealed
) AS c ORDER BY asked.tenant_id

-- read_conflicts: Return the second contents that were kept of a tenant, behind a place.
SELECT event_id, content_hash, record FROM tenaudit.conflicts
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR (event_id, content_hash) > ($2, $3::bytea))
ORDER BY event_id, content_hash LIMIT $4

-- walk_log: Return a tenant's log in order from a place, each leaf with the event row it belongs to, if that is there.
-- The row's columns stand as texts in the order of the leaf's: making them here is a third of the work of making them
-- where they are hashed. OFFSET 0 keeps a page from being joined with all of a large table.
SELECT l.idx, l.event_id, l.leaf_hash, e.*
FROM (
  SELECT * FROM tenaudit.leaves WHERE tenant_id = $1 AND ($2::bigint IS NULL OR idx > $2) ORDER BY idx LIMIT $3
) AS l LEFT JOIN LATERAL (
  SELECT content_hash, salts, commitments, action, actor_id, actor_type, event_id::text,
    -- A year before Christ has the same digits.
    CASE WHEN occurred_at >= '0001-01-01 00:00:00+00'
      THEN to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
    outcome, payload, producer_id, redactions, resource_id, resource_type, schema_version, seq, service, severity,
    tenant_id::text, trace_id
  FROM tenaudit.events WHERE tenant_id = l.tenant_id AND event_id = l.event_id AND log_index = l.idx OFFSET 0
) AS e ON true
ORDER BY l.idx

-- strangers: List event rows that have no leaf.
SELECT e.event_id FROM tenaudit.events AS e
WHERE e.tenant_id = $1 AND ($2::uuid IS NULL OR e.event_id > $2)
  AND NOT EXISTS (
    SELECT 1 FROM tenaudit.leaves AS l
    WHERE l.tenant_id = e.tenant_id AND l.idx = e.log_index AND l.event_id = e.event_id
  )
ORDER BY e.event_id LIMIT $3

-- count_own: Count the events of one tenant.
SELECT count(*) AS rows FROM tenaudit.events WHERE tenant_id = $1

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

-- name_tenant: Name the one tenant that the transaction is about from here on.
SELECT set_config('tenaudit.tenants', $1, true)

-- count_producers: Count a tenant's numbered events by producer in the next part behind an id, and tell where it ends.
WITH part AS MATERIALIZED (
  SELECT event_id, producer_id, service, seq FROM tenaudit.events
  WHERE tenant_id = $1 AND event_id > $2 AND event_id <= $3 ORDER BY event_id LIMIT $4
)
SELECT producer_id, min(service) AS service, count(*) AS stored, min(seq) AS lowest, max(seq) AS highest,
  (SELECT event_id FROM part ORDER BY event_id DESC LIMIT 1) AS reached
FROM part GROUP BY producer_id, seq IS NULL

-- closing_records: Return what producers said of themselves at their end, in the next part behind an id.
SELECT event_id, producer_id, seq, payload FROM tenaudit.events
WHERE tenant_id = $1 AND action = $2 AND event_id > $3 AND event_id <= $4 ORDER BY event_id LIMIT $5

-- also_stored: Return those of some ids that a tenant has; the bounds spare the other partitions.
SELECT e.event_id FROM unnest($2::uuid[]) AS asked (event_id)
JOIN tenaudit.events AS e ON e.tenant_id = $1 AND e.event_id = asked.event_id
WHERE e.event_id BETWEEN $3 AND $4


-- default_days: Return the period of tenants that have none of their own.
SELECT days FROM tenaudit.retention_default

-- known_leaves: Return the leaves of events that were logged, whatever became of the events; the bounds spare blocks.
SELECT l.tenant_id, l.event_id, l.leaf_hash
FROM unnest($1::uuid[], $2::uuid[]) AS asked (tenant_id, event_id)
JOIN tenaudit.leaves AS l ON l.tenant_id = asked.tenant_id AND l.event_id = asked.event_id
WHERE l.event_id BETWEEN $3 AND $4

-- read_records: Return a tenant's records of retention behind a place, each with the leaf that the log has there.
SELECT r.idx, r.event_id, r.record, l.leaf_hash
FROM tenaudit.retention_records AS r LEFT JOIN tenaudit.leaves AS l
  ON l.tenant_id = r.tenant_id AND l.idx = r.idx AND l.event_id = r.event_id
WHERE r.tenant_id = $1 AND ($2::bigint IS NULL OR r.idx > $2) ORDER BY r.idx LIMIT $3

-- sealed_at: Return a tenant's checkpoint at a size, or the one that its log names as the newest.
SELECT c.size, c.root FROM tenaudit.logs AS l JOIN tenaudit.checkpoints AS c USING (tenant_id)
WHERE l.tenant_id = $1 AND c.size = coalesce($2::bigint, l.sealed) AND c.size <= l.sealed

-- leaves_of_events: Return places and leaves of those of some events that have a row; the bounds spare partitions.
SELECT e.event_id, l.idx, l.leaf_hash, e.salts, e.commitments FROM tenaudit.events AS e
JOIN tenaudit.leaves AS l ON l.tenant_id = e.tenant_id AND l.idx = e.log_index AND l.event_id = e.event_id
WHERE e.tenant_id = $1 AND e.event_id = ANY($2::uuid[]) AND e.event_id BETWEEN $3 AND $4

-- read_hashes: Return leaves and kept subtrees of some ranges of a log.
SELECT asked.level, kept.place, kept.root
FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS asked (level, first, past) CROSS JOIN LATERAL (
  SELECT idx AS place, leaf_hash AS root FROM tenaudit.leaves
  WHERE asked.level = 0 AND tenant_id = $1 AND idx >= asked.first AND idx < asked.past
  UNION ALL
  SELECT place, root FROM tenaudit.subtrees
  WHERE tenant_id = $1 AND level = asked.level AND place >= asked.first AND place < asked.past
) AS kept

-- walk_subtrees: Return the kept subtrees of a log by level and place, behind a place.
SELECT level, place, root FROM tenaudit.subtrees
WHERE tenant_id = $1 AND ($2::smallint IS NULL OR (level, place) > ($2, $3::bigint)) ORDER BY level, place LIMIT $4
