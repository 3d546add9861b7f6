-- create_outbox: Make the table of waiting events. Nothing is ever updated in it, so no fill factor helps, and the only
-- index is the order in which a shard is read; vacuum comes by number of dead rows, since the table is empty or large.
CREATE TABLE IF NOT EXISTS tenaudit_outbox (
  shard smallint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  event_id uuid NOT NULL,
  tenant_id uuid NOT NULL,
  event text NOT NULL,
  enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (shard, id)
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000
);

-- create_shards: Make the table of leases. Its few rows are updated all the time, so most of a page is left for that.
CREATE TABLE IF NOT EXISTS tenaudit_outbox_shards (
  shard smallint PRIMARY KEY,
  epoch bigint NOT NULL DEFAULT 0,
  claimed_until timestamptz NOT NULL DEFAULT '-infinity',
  owner text NOT NULL DEFAULT ''
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- fill_shards: Make a row for each shard.
INSERT INTO tenaudit_outbox_shards (shard) SELECT * FROM generate_series(0, 31) ON CONFLICT DO NOTHING;

-- create_dead: Make the table of events that the sink refused.
CREATE TABLE IF NOT EXISTS tenaudit_outbox_dead (
  id bigint PRIMARY KEY,
  shard smallint NOT NULL,
  event_id uuid NOT NULL,
  tenant_id uuid NOT NULL,
  event text NOT NULL,
  enqueued_at timestamptz NOT NULL,
  reason text NOT NULL,
  died_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
