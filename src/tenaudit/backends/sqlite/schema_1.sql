-- Version 1 of the embedded store. Rows are what readers see; leaves are what proves them.

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

-- One row an event. Times are RFC 3339 text with six digits, ids are lower-case UUID text: both sort by time.
CREATE TABLE events (
  tenant_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  occurred_at TEXT NOT NULL,
  actor_id TEXT,
  actor_type TEXT NOT NULL,
  action TEXT NOT NULL,
  resource_type TEXT,
  resource_id TEXT,
  outcome TEXT NOT NULL,
  severity TEXT NOT NULL,
  service TEXT NOT NULL,
  trace_id TEXT,
  schema_version INTEGER NOT NULL,
  payload TEXT NOT NULL,
  redactions TEXT NOT NULL,
  producer_id TEXT,
  seq INTEGER,
  content_hash BLOB NOT NULL,
  PRIMARY KEY (tenant_id, event_id)
) STRICT;

CREATE INDEX events_by_actor ON events (tenant_id, actor_id, event_id);
CREATE INDEX events_by_action ON events (tenant_id, action, event_id);
CREATE INDEX events_by_resource ON events (tenant_id, resource_type, resource_id, event_id);
CREATE INDEX events_by_trace ON events (tenant_id, trace_id) WHERE trace_id IS NOT NULL;

-- The log of each tenant: the leaf hash of every event in the order of arrival, without gaps.
CREATE TABLE leaves (
  tenant_id TEXT NOT NULL,
  idx INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  leaf_hash BLOB NOT NULL,
  PRIMARY KEY (tenant_id, idx),
  UNIQUE (tenant_id, event_id)
) STRICT, WITHOUT ROWID;

-- The right frontier of each log's Merkle tree, which the next append needs, and the hash chain over its checkpoints,
-- which shows that none was taken out.
CREATE TABLE logs (
  tenant_id TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  frontier BLOB NOT NULL,
  seals BLOB NOT NULL DEFAULT x''
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
  tenant_id TEXT NOT NULL,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  body TEXT NOT NULL,
  sealed_at TEXT NOT NULL,
  PRIMARY KEY (tenant_id, size)
) STRICT, WITHOUT ROWID;

-- An id that came again with other content: evidence, never overwritten.
CREATE TABLE conflicts (
  tenant_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  content_hash BLOB NOT NULL,
  record TEXT NOT NULL,
  seen_at TEXT NOT NULL,
  PRIMARY KEY (tenant_id, event_id, content_hash)
) STRICT, WITHOUT ROWID;
