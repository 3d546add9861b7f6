-- may_erase: Tell whether this connection may take values out of events, and who it is.
SELECT has_column_privilege('tenaudit.events', 'payload', 'UPDATE'), current_user

-- scan_events: Search the next part of a tenant's events for texts; tell which mention one, and where the part ends.
WITH part AS MATERIALIZED (
  SELECT event_id, actor_id, resource_id, payload FROM tenaudit.events
  WHERE tenant_id = $1 AND event_id > $2 ORDER BY event_id LIMIT $5
)
SELECT (SELECT event_id FROM part ORDER BY event_id DESC LIMIT 1) AS reached, array(
  SELECT event_id FROM part
  WHERE actor_id = $3 OR resource_id = $3
    OR EXISTS (SELECT FROM unnest($4::text[]) AS spelled (name) WHERE strpos(payload, name) > 0)
  ORDER BY event_id
) AS ids

-- subject_events: Return some events, each with its place and its leaf; the bounds spare the other partitions.
SELECT l.idx AS leaf_idx, l.leaf_hash AS leaf_hash, e.*
FROM tenaudit.events AS e LEFT JOIN tenaudit.leaves AS l
  ON l.tenant_id = e.tenant_id AND l.idx = e.log_index AND l.event_id = e.event_id
WHERE e.tenant_id = $1 AND e.event_id = ANY ($2::uuid[]) AND e.event_id BETWEEN $3 AND $4 ORDER BY e.event_id

-- write_erased: Write what is left of events over them; return how many there were.
WITH written AS (
  UPDATE tenaudit.events AS e
  SET actor_id = n.actor_id, resource_id = n.resource_id, payload = n.payload, salts = NULL, commitments = n.commitments
  FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
    AS n (event_id, actor_id, resource_id, payload, commitments)
  WHERE e.tenant_id = $1 AND e.event_id = n.event_id AND e.event_id BETWEEN $7 AND $8
  RETURNING true
)
SELECT count(*) FROM written

-- count_conflicts: Count the second contents of a tenant that mention one of some texts.
SELECT count(*) FROM tenaudit.conflicts
WHERE tenant_id = $1 AND EXISTS (SELECT FROM unnest($2::text[]) AS spelled (name) WHERE strpos(record, name) > 0)

-- delete_conflicts: Delete them; return how many went.
WITH gone AS (
  DELETE FROM tenaudit.conflicts
  WHERE tenant_id = $1 AND EXISTS (SELECT FROM unnest($2::text[]) AS spelled (name) WHERE strpos(record, name) > 0)
  RETURNING true
)
SELECT count(*) FROM gone

-- count_letters: Count the dead letters that mention one of some texts, and the tenant, in bytes of UTF-8.
SELECT count(*) FROM tenaudit.dead_letters
WHERE (record_key = $1::bytea OR position($1::bytea IN value) > 0)
  AND EXISTS (SELECT FROM unnest($2::bytea[]) AS spelled (name) WHERE position(name IN value) > 0)

-- delete_letters: Delete them; return how many went.
WITH gone AS (
  DELETE FROM tenaudit.dead_letters
  WHERE (record_key = $1::bytea OR position($1::bytea IN value) > 0)
    AND EXISTS (SELECT FROM unnest($2::bytea[]) AS spelled (name) WHERE position(name IN value) > 0)
  RETURNING true
)
SELECT count(*) FROM gone
