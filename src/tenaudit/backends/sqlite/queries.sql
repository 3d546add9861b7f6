-- read_meta: Return one setting of the file.
SELECT value FROM meta WHERE name = :name

-- write_meta: Set one setting of the file, unless it is there.
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING

-- insert_event: Add an event; an id that is there already changes nothing.
INSERT INTO events (
  tenant_id, event_id, occurred_at, actor_id, actor_type, action, resource_type, resource_id, outcome, severity,
  service, trace_id, schema_version, payload, redactions, producer_id, seq, content_hash, salts,
  commitments
) VALUES (
  :tenant_id, :event_id, :occurred_at, :actor_id, :actor_type, :action, :resource_type, :resource_id, :outcome,
  :severity, :service, :trace_id, :schema_version, :payload, :redactions, :producer_id, :seq, :content_hash,
  :salts, :commitments
) ON CONFLICT DO NOTHING

-- met_row: Return what tells the content of an event that is there already.
SELECT content_hash, salts, commitments FROM events WHERE tenant_id = :tenant_id AND event_id = :event_id

-- insert_conflict: Keep the second content of an id as evidence.
INSERT INTO conflicts (tenant_id, event_id, content_hash, record, seen_at)
VALUES (:tenant_id, :event_id, :content_hash, :record, :seen_at) ON CONFLICT DO NOTHING

-- read_log: Return size, frontier and chain of checkpoints of a tenant's log.
SELECT size, frontier, seals, retention_days, purged_before, held FROM logs WHERE tenant_id = :tenant_id

-- write_log: Set size and frontier of a tenant's log.
INSERT INTO logs (tenant_id, size, frontier) VALUES (:tenant_id, :size, :frontier)
ON CONFLICT (tenant_id) DO UPDATE SET size = excluded.size, frontier = excluded.frontier

-- insert_leaf: Append a leaf to a log.
INSERT INTO leaves (tenant_id, idx, event_id, leaf_hash) VALUES (:tenant_id, :idx, :event_id, :leaf_hash)

-- grown_logs: List the logs that have grown since their last checkpoint.
SELECT l.tenant_id, l.size, l.frontier, l.seals FROM logs AS l
WHERE l.size > COALESCE((SELECT MAX(c.size) FROM checkpoints AS c WHERE c.tenant_id = l.tenant_id), 0)
  AND (:tenant_id IS NULL OR l.tenant_id = :tenant_id)
ORDER BY l.tenant_id

-- insert_checkpoint: Write a checkpoint.
INSERT INTO checkpoints (tenant_id, size, root, body, sealed_at) VALUES (:tenant_id, :size, :root, :body, :sealed_at)

-- write_seals: Set the chain over a tenant's checkpoints.
UPDATE logs SET seals = :seals WHERE tenant_id = :tenant_id

-- read_conflicts: Return the second contents that were kept of a tenant.
SELECT event_id, content_hash, record FROM conflicts WHERE tenant_id = :tenant_id ORDER BY event_id, content_hash

-- read_checkpoints: Return the checkpoints of a tenant by size.
SELECT size, root, body, sealed_at FROM checkpoints WHERE tenant_id = :tenant_id ORDER BY size

-- newest_checkpoints: Return the newest checkpoint of each tenant that has one.
SELECT l.tenant_id, c.size, c.root FROM logs AS l JOIN checkpoints AS c
  ON c.tenant_id = l.tenant_id AND c.size = (SELECT MAX(size) FROM checkpoints WHERE tenant_id = l.tenant_id AND size <= l.size)
ORDER BY l.tenant_id

-- known_tenants: List every tenant that any table mentions.
SELECT tenant_id FROM logs UNION SELECT tenant_id FROM checkpoints UNION SELECT tenant_id FROM leaves
UNION SELECT tenant_id FROM events UNION SELECT tenant_id FROM conflicts
UNION SELECT tenant_id FROM retention_records ORDER BY tenant_id

-- logged_tenants: List the tenants that have a log.
SELECT tenant_id FROM logs ORDER BY tenant_id

-- walk_log: Return a tenant's log in order, each leaf with the event row it belongs to, if that is there: its columns in
-- the order of the leaf's.
SELECT l.idx, l.event_id, l.leaf_hash, e.content_hash, e.salts, e.commitments,
  e.action, e.actor_id, e.actor_type, e.event_id, e.occurred_at, e.outcome, e.payload, e.producer_id, e.redactions,
  e.resource_id, e.resource_type, e.schema_version, e.seq, e.service, e.severity, e.tenant_id, e.trace_id
FROM leaves AS l LEFT JOIN events AS e ON e.tenant_id = l.tenant_id AND e.event_id = l.event_id
WHERE l.tenant_id = :tenant_id ORDER BY l.idx

-- strangers: List event rows that have no leaf.
SELECT e.event_id FROM events AS e
WHERE e.tenant_id = :tenant_id
  AND NOT EXISTS (SELECT 1 FROM leaves AS l WHERE l.tenant_id = e.tenant_id AND l.event_id = e.event_id)
ORDER BY e.event_id

-- get_event: Return one event of a tenant.
SELECT * FROM events WHERE tenant_id = :tenant_id AND event_id = :event_id

-- count_own: Count the events of one tenant.
SELECT COUNT(*) FROM events WHERE tenant_id = :tenant_id

-- count_events: Count events, of one tenant or of all.
SELECT COUNT(*) FROM events WHERE :tenant_id IS NULL OR tenant_id = :tenant_id

-- search_events: The start of every search; conditions on further columns, the order and the limit follow.
SELECT * FROM events WHERE tenant_id = :tenant_id

-- follow_log: Return a tenant's events from one index of its log on, in the order of the log, whatever else is indexed.
SELECT l.idx AS leaf_idx, e.*
FROM leaves AS l CROSS JOIN events AS e ON e.tenant_id = l.tenant_id AND e.event_id = l.event_id
WHERE l.tenant_id = :tenant_id AND l.idx >= :after ORDER BY l.idx LIMIT :limit

-- count_stats: The start of every count by kind; conditions, the order and the limit follow as with a search.
SELECT action, outcome, severity, occurred_at FROM events WHERE tenant_id = :tenant_id

-- count_producers: Count a tenant's numbered events by producer, between two ids.
SELECT producer_id, MIN(service) AS service, COUNT(*) AS stored, MIN(seq) AS lowest, MAX(seq) AS highest
FROM events
WHERE tenant_id = :tenant_id AND event_id BETWEEN :first AND :last AND producer_id IS NOT NULL AND seq IS NOT NULL
GROUP BY producer_id

-- closing_records: Return what producers said of themselves at their end, between two ids.
SELECT producer_id, seq, payload FROM events
WHERE tenant_id = :tenant_id AND action = :action AND event_id BETWEEN :first AND :last
  AND producer_id IS NOT NULL AND seq IS NOT NULL
ORDER BY event_id

-- has_event: Tell whether a tenant has an event.
SELECT EXISTS (SELECT 1 FROM events WHERE tenant_id = :tenant_id AND event_id = :event_id)

-- read_terms: Return what a tenant's log knows of its retention.
SELECT tenant_id, size, retention_days, purged_before, held FROM logs WHERE tenant_id = :tenant_id

-- all_terms: Return what each log knows of its tenant's retention.
SELECT tenant_id, size, retention_days, purged_before, held FROM logs ORDER BY tenant_id

-- read_default_days: Return the period of tenants that have none of their own.
SELECT days FROM retention_default

-- write_default_days: Set the period of tenants that have none of their own, unless it is that already.
UPDATE retention_default SET days = :days, set_by = :by, set_at = :at WHERE days <> :days

-- known_leaf: Return the leaf of an event that was logged, whatever became of the event.
SELECT leaf_hash FROM leaves WHERE tenant_id = :tenant_id AND event_id = :event_id

-- count_old: Count a tenant's events that occurred before a time.
SELECT COUNT(*) FROM events WHERE tenant_id = :tenant_id AND occurred_at < :before

-- scan_times: Return ids and times of the next events behind an id.
SELECT event_id, occurred_at FROM events WHERE tenant_id = :tenant_id AND event_id > :after
ORDER BY event_id LIMIT :limit

-- logged_events: Return events of a list of ids in the order of the log, each with its leaf.
SELECT l.idx AS leaf_idx, l.leaf_hash AS leaf_hash, e.*
FROM json_each(:ids) AS asked
CROSS JOIN leaves AS l ON l.tenant_id = :tenant_id AND l.event_id = asked.value
CROSS JOIN events AS e ON e.tenant_id = l.tenant_id AND e.event_id = l.event_id
ORDER BY l.idx

-- delete_event: Delete an event that occurred before a time.
DELETE FROM events WHERE tenant_id = :tenant_id AND event_id = :event_id AND occurred_at < :before

-- write_purged: Note that everything that was purged of a tenant occurred before a time.
UPDATE logs SET purged_before = MAX(COALESCE(purged_before, ''), :before) WHERE tenant_id = :tenant_id

-- write_retention_days: Set the period of a tenant.
UPDATE logs SET retention_days = :value WHERE tenant_id = :tenant_id

-- write_held: Set whether a tenant is held.
UPDATE logs SET held = :value WHERE tenant_id = :tenant_id

-- insert_record: Keep the text of a record of retention.
INSERT INTO retention_records (tenant_id, idx, event_id, record) VALUES (:tenant_id, :idx, :event_id, :record)

-- read_records: Return the records of retention of a tenant, each with the leaf that the log has in its place.
SELECT r.idx, r.event_id, r.record, l.leaf_hash
FROM retention_records AS r
LEFT JOIN leaves AS l ON l.tenant_id = r.tenant_id AND l.idx = r.idx AND l.event_id = r.event_id
WHERE r.tenant_id = :tenant_id ORDER BY r.idx

-- held_tenants: List the tenants that are held.
SELECT tenant_id FROM logs WHERE held ORDER BY tenant_id

-- newest_records: Return the records of retention of a tenant, the newest first.
SELECT event_id, record FROM retention_records WHERE tenant_id = :tenant_id ORDER BY idx DESC

-- delete_conflict: Delete one second content.
DELETE FROM conflicts WHERE tenant_id = :tenant_id AND event_id = :event_id AND content_hash = :content_hash

-- scan_events: Return the next part of a tenant's events, and which of them mention a text.
SELECT event_id, (actor_id IS :name OR resource_id IS :name OR instr(payload, :quoted) > 0) AS mentions
FROM events WHERE tenant_id = :tenant_id AND event_id > :after ORDER BY event_id LIMIT :limit

-- subject_events: Return some events, each with its place and its leaf.
SELECT l.idx AS leaf_idx, l.leaf_hash AS leaf_hash, e.*
FROM events AS e LEFT JOIN leaves AS l ON l.tenant_id = e.tenant_id AND l.event_id = e.event_id
WHERE e.tenant_id = :tenant_id AND e.event_id IN (SELECT value FROM json_each(:ids)) ORDER BY l.idx

-- write_erased: Write what is left of an event over it.
UPDATE events SET actor_id = :actor_id, resource_id = :resource_id, payload = :payload, salts = NULL,
  commitments = :commitments
WHERE tenant_id = :tenant_id AND event_id = :event_id

-- count_mentions: Count the second contents of a tenant that mention a text, or are of events of theirs.
-- The payload is a text in the record, so what is quoted there is quoted twice.
SELECT COUNT(*) FROM conflicts AS c
WHERE c.tenant_id = :tenant_id AND (
  instr(c.record, :quoted) > 0 OR instr(c.record, :nested) > 0 OR EXISTS (
    SELECT 1 FROM events AS e WHERE e.tenant_id = c.tenant_id AND e.event_id = c.event_id
      AND (e.actor_id IS :name OR e.salts IS NULL AND e.commitments IS NOT NULL)
  )
)

-- delete_mentions: Delete them.
DELETE FROM conflicts AS c
WHERE c.tenant_id = :tenant_id AND (
  instr(c.record, :quoted) > 0 OR instr(c.record, :nested) > 0 OR EXISTS (
    SELECT 1 FROM events AS e WHERE e.tenant_id = c.tenant_id AND e.event_id = c.event_id
      AND (e.actor_id IS :name OR e.salts IS NULL AND e.commitments IS NOT NULL)
  )
)

-- has_letters: Tell whether dead letters are in the file.
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'dead_letters'

-- count_letters: Count the dead letters that hold some bytes.
SELECT COUNT(*) FROM dead_letters
WHERE instr(COALESCE(value, x''), :bytes) > 0 OR instr(COALESCE(record_key, x''), :bytes) > 0

-- insert_subtree: Keep the root of a complete subtree of a log.
INSERT INTO subtrees (tenant_id, level, place, root) VALUES (:tenant_id, :level, :place, :root) ON CONFLICT DO NOTHING

-- sealed_at: Return a tenant's checkpoint at a size, or the newest that its log has.
SELECT c.size, c.root FROM logs AS l JOIN checkpoints AS c ON c.tenant_id = l.tenant_id AND c.size <= l.size
WHERE l.tenant_id = :tenant_id AND (:size IS NULL OR c.size = :size) ORDER BY c.size DESC LIMIT 1

-- leaf_of_event: Return the place and the leaf of an event that has a row.
SELECT l.idx, l.leaf_hash, e.salts, e.commitments FROM events AS e JOIN leaves AS l ON l.tenant_id = e.tenant_id AND l.event_id = e.event_id
WHERE e.tenant_id = :tenant_id AND e.event_id = :event_id

-- read_leaves: Return leaves of a log from one place to another.
SELECT idx AS place, leaf_hash AS root FROM leaves
WHERE tenant_id = :tenant_id AND idx >= :first AND idx < :end

-- read_subtrees: Return kept subtrees of a level from one place to another.
SELECT place, root FROM subtrees
WHERE tenant_id = :tenant_id AND level = :level AND place >= :first AND place < :end

-- walk_leaves: Return the leaves of a log in order.
SELECT idx, leaf_hash FROM leaves WHERE tenant_id = :tenant_id ORDER BY idx

-- walk_subtrees: Return the kept subtrees of a log by level and place.
SELECT level, place, root FROM subtrees WHERE tenant_id = :tenant_id ORDER BY level, place
