-- Version 2: how long events are kept, what is held, and what purges and holds wrote into the logs.

-- A tenant's own period in days; the time that everything purged occurred before; whether a legal hold keeps all.
ALTER TABLE logs ADD COLUMN retention_days INTEGER;
ALTER TABLE logs ADD COLUMN purged_before TEXT;
ALTER TABLE logs ADD COLUMN held INTEGER NOT NULL DEFAULT 0;

CREATE TABLE retention_default (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  days INTEGER NOT NULL,
  set_by TEXT,
  set_at TEXT
) STRICT;

INSERT INTO retention_default (one, days) VALUES (1, 30);

-- The text of each record that a leaf of the log commits to: the event itself is purged when its time has come.
CREATE TABLE retention_records (
  tenant_id TEXT NOT NULL,
  idx INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (tenant_id, idx)
) STRICT, WITHOUT ROWID;
