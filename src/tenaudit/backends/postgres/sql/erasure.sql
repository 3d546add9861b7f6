-- may_erase: Tell whether this connection may take values out of events, and who it is.
SELECT has_column_privilege('tenaudit.events', 'payload', 'UPDATE'), current_user

-- scan_events: Search the next part of a tenant's events for a text; tell which mention it, and where the part ends.
WITH part AS MATERIALIZED (
  SELECT event_id, actor_id, resource_id, payload FROM tenaudit.events
  WHERE tenant_id = $1 AND event_id > $2 ORDER BY event_id LIMIT $5
)
SELECT (SELECT event_id FROM part ORDER BY event_id DESC LIMIT 1) AS reached, array(
  SELECT event_id FROM part
  WHERE actor_id = $3 OR resource_id = $3 OR strpos(payload, $4) > 0
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

-- count_conflicts: Count the second contents of a tenant that mention a text, or are of events of theirs.
SELECT count(*) FROM tenaudit.conflicts AS c
WHERE c.tenant_id = $1 AND (
  strpos(c.record, $2) > 0 OR EXISTS (
    SELECT FROM tenaudit.events AS e WHERE e.tenant_id = c.tenant_id AND e.event_id = c.event_id
      AND (e.actor_id = $3 OR e.salts IS NULL AND e.commitments IS NOT NULL)
  )
)

-- delete_conflicts: Delete them; return how many went.
WITH gone AS (
  DELETE FROM tenaudit.conflicts AS c
  WHERE c.tenant_id = $1 AND (
    strpos(c.record, $2) > 0 OR EXISTS (
      SELECT FROM tenaudit.events AS e WHERE e.tenant_id = c.tenant_id AND e.event_id = c.event_id
        AND (e.actor_id = $3 OR e.salts IS NULL AND e.commitments IS NOT NULL)
    )
  )
  RETURNING true
)
SELECT count(*) FROM gone

-- count_letters: Count the dead letters of a tenant that mention one of some texts, in bytes of UTF-8; whose one is, its
-- key tells.
SELECT count(*) FROM tenaudit.dead_letters
WHERE record_key = $1::bytea
  AND EXISTS (SELECT FROM unnest($2::bytea[]) AS spelled (name) WHERE position(name IN value) > 0)

-- delete_letters: Delete them; return how many went.
WITH gone AS (
  DELETE FROM tenaudit.dead_letters
  WHERE record_key = $1::bytea
    AND EXISTS (SELECT FROM unnest($2::bytea[]) AS spelled (name) WHERE position(name IN value) > 0)
  RETURNING true
)
SELECT count(*) FROM gone

-- count_other_letters: Count the other dead letters that hold the bytes of a name, whoever's they are.
SELECT count(*) FROM tenaudit.dead_letters
WHERE (
    position($3::bytea IN value) > 0 OR position($3::bytea IN record_key) > 0
    OR position($3::bytea IN convert_to(headers::text, 'UTF8')) > 0
  ) AND (
    record_key IS DISTINCT FROM $1::bytea
    OR NOT EXISTS (SELECT FROM unnest($2::bytea[]) AS spelled (name) WHERE position(name IN value) > 0)
  )
