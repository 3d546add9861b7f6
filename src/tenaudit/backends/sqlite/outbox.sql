-- create_outbox: Make the table of waiting events. AUTOINCREMENT: no number is given out twice.
CREATE TABLE IF NOT EXISTS tenaudit_outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  event TEXT NOT NULL,
  enqueued_at REAL NOT NULL
) STRICT

-- create_lease: Make the table of the one lease: SQLite has one writer at a time, so one relay works at a time.
CREATE TABLE IF NOT EXISTS tenaudit_outbox_lease (
  shard INTEGER PRIMARY KEY CHECK (shard = 0),
  epoch INTEGER NOT NULL,
  claimed_until REAL NOT NULL
) STRICT

-- fill_lease: Make its row.
INSERT INTO tenaudit_outbox_lease (shard, epoch, claimed_until) VALUES (0, 0, 0) ON CONFLICT DO NOTHING

-- create_dead: Make the table of events that the sink refused.
CREATE TABLE IF NOT EXISTS tenaudit_outbox_dead (
  id INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  event TEXT NOT NULL,
  enqueued_at REAL NOT NULL,
  reason TEXT NOT NULL,
  died_at REAL NOT NULL
) STRICT

-- insert_entry: Add one event, in whatever transaction is open.
INSERT INTO tenaudit_outbox (event_id, tenant_id, event, enqueued_at)
VALUES (:event_id, :tenant_id, :event, :now)

-- has_entries: Tell whether anything waits; it needs no lock of a writer.
SELECT EXISTS (SELECT 1 FROM tenaudit_outbox)

-- claim_shard: Hold the outbox, unless somebody does.
UPDATE tenaudit_outbox_lease SET epoch = epoch + 1, claimed_until = :until WHERE claimed_until <= :now RETURNING epoch

-- read_entries: Return the oldest entries while the lease holds.
SELECT id, event FROM tenaudit_outbox
WHERE EXISTS (SELECT 1 FROM tenaudit_outbox_lease WHERE epoch = :epoch) ORDER BY id LIMIT :limit

-- renew_lease: Hold the outbox on, unless it was claimed by another since.
UPDATE tenaudit_outbox_lease SET claimed_until = :until WHERE epoch = :epoch

-- delete_entry: Delete what the sink has.
DELETE FROM tenaudit_outbox WHERE id = :id

-- bury_entry: Copy what the sink refuses to the dead letters.
INSERT INTO tenaudit_outbox_dead (id, event_id, tenant_id, event, enqueued_at, reason, died_at)
SELECT id, event_id, tenant_id, event, enqueued_at, :reason, :now FROM tenaudit_outbox WHERE id = :id

-- release_lease: Let others have the outbox at once.
UPDATE tenaudit_outbox_lease SET claimed_until = 0 WHERE epoch = :epoch

-- see_backlog: Count what waits, up to a bound, and return when the oldest came.
SELECT
  (SELECT count(*) FROM (SELECT 1 FROM tenaudit_outbox LIMIT :bound)) AS entries,
  (SELECT enqueued_at FROM tenaudit_outbox ORDER BY id LIMIT 1) AS oldest
