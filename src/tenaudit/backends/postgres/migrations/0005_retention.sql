-- How long events are kept, what is held, and what purges and holds wrote into the logs.

DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT tenaudit_owner, tenaudit_lister TO %I', current_user);
  END IF;
END
$$;

SET LOCAL ROLE tenaudit_owner;

-- A tenant's own period in days, the time that everything purged occurred before, and whether a legal hold keeps all:
-- in the very row that is the lock of the log, so that who holds it knows them.
ALTER TABLE tenaudit.logs
  ADD COLUMN retention_days integer,
  ADD COLUMN purged_before timestamptz,
  ADD COLUMN held boolean NOT NULL DEFAULT false;

CREATE TABLE tenaudit.retention_default (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  days integer NOT NULL,
  set_by text COLLATE "C",
  set_at timestamptz
);
INSERT INTO tenaudit.retention_default (days) VALUES (30);

-- The text of each record that a leaf of the log commits to: the event itself is purged when its time has come.
CREATE TABLE tenaudit.retention_records (
  tenant_id uuid NOT NULL,
  idx bigint NOT NULL,
  event_id uuid NOT NULL,
  record text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, idx)
);
CALL tenaudit.secure('tenaudit.retention_records');

-- Both grow in the order of time, so ranges of blocks find what is old, or whether an id was logged, for next to nothing.
CREATE INDEX events_by_time ON tenaudit.events USING brin (occurred_at);
CREATE INDEX leaves_by_event ON tenaudit.leaves USING brin (event_id);

GRANT SELECT ON tenaudit.retention_default, tenaudit.retention_records
  TO tenaudit_writer, tenaudit_reader, tenaudit_purger;

-- Who appends may not lift a hold, or forget a purge.
REVOKE INSERT, UPDATE ON tenaudit.logs FROM tenaudit_writer;
GRANT INSERT (tenant_id), UPDATE (size, frontier, seals, sealed) ON tenaudit.logs TO tenaudit_writer;

-- Who purges writes into the logs what went.
GRANT INSERT ON tenaudit.events, tenaudit.leaves, tenaudit.checkpoints, tenaudit.retention_records TO tenaudit_purger;
-- A consumer that purges now and then is one that stores, too.
GRANT INSERT ON tenaudit.conflicts, tenaudit.dead_letters TO tenaudit_purger;
GRANT UPDATE (last_seen, times_seen) ON tenaudit.dead_letters TO tenaudit_purger;
GRANT INSERT (tenant_id), UPDATE (size, frontier, seals, sealed, retention_days, purged_before, held)
  ON tenaudit.logs TO tenaudit_purger;
GRANT UPDATE (days, set_by, set_at) ON tenaudit.retention_default TO tenaudit_purger;
GRANT EXECUTE ON FUNCTION tenaudit.make_partition TO tenaudit_purger;

-- The first id of a day: the first 48 bits of a UUIDv7 are milliseconds since 1970 (RFC 9562 section 5.7).
CREATE FUNCTION tenaudit.first_id(day date) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (lpad(to_hex(extract(epoch FROM day)::bigint * 1000), 12, '0') || '00000000000000000000')::uuid;

GRANT CREATE ON SCHEMA tenaudit TO tenaudit_lister;
GRANT SELECT (event_id) ON tenaudit.events TO tenaudit_lister;
GRANT SELECT (tenant_id) ON tenaudit.retention_records TO tenaudit_lister;
CREATE POLICY lister ON tenaudit.retention_records FOR SELECT TO tenaudit_lister USING (true);

RESET ROLE;
SET LOCAL ROLE tenaudit_lister;

-- As before, and the records of retention too.
CREATE OR REPLACE FUNCTION tenaudit.known_tenants() RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  place text;
  tenant uuid;
BEGIN
  RETURN QUERY SELECT l.tenant_id FROM tenaudit.logs AS l;
  FOREACH place IN ARRAY ARRAY['events', 'leaves', 'checkpoints', 'conflicts', 'retention_records'] LOOP
    EXECUTE format('SELECT tenant_id FROM tenaudit.%I ORDER BY tenant_id LIMIT 1', place) INTO tenant;
    WHILE tenant IS NOT NULL LOOP
      RETURN NEXT tenant;
      EXECUTE format('SELECT tenant_id FROM tenaudit.%I WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1', place)
        INTO tenant USING tenant;
    END LOOP;
  END LOOP;
END
$$;

-- Every tenant with a row in the partition of a month, from one to the next by its index.
CREATE FUNCTION tenaudit.partition_tenants(month date) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  tenant uuid;
BEGIN
  -- With the bounds in the text, so that the other partitions are left out.
  EXECUTE format(
    'SELECT tenant_id FROM tenaudit.events WHERE event_id >= %L AND event_id < %L ORDER BY tenant_id LIMIT 1',
    tenaudit.first_id(month), tenaudit.first_id((month + interval '1 month')::date)
  ) INTO tenant;
  WHILE tenant IS NOT NULL LOOP
    RETURN NEXT tenant;
    EXECUTE format(
      'SELECT tenant_id FROM tenaudit.events WHERE event_id >= %L AND event_id < %L AND tenant_id > %L
       ORDER BY tenant_id LIMIT 1',
      tenaudit.first_id(month), tenaudit.first_id((month + interval '1 month')::date), tenant
    ) INTO tenant;
  END LOOP;
END
$$;
REVOKE ALL ON FUNCTION tenaudit.partition_tenants FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenaudit.partition_tenants TO tenaudit_owner, tenaudit_purger;

RESET ROLE;
SET LOCAL ROLE tenaudit_owner;

-- Drops the partition of a month, unless it is not there, holds rows of a tenant that the transaction does not name, or
-- of one that is held; tells whether it is gone. Everybody else waits from here to the end of the transaction.
CREATE FUNCTION tenaudit.drop_partition(month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text := 'events_' || to_char(month, 'YYYY_MM');
BEGIN
  LOCK TABLE ONLY tenaudit.events IN ACCESS EXCLUSIVE MODE;
  IF NOT EXISTS (
    SELECT FROM pg_inherits
    WHERE inhparent = 'tenaudit.events'::regclass AND inhrelid = to_regclass('tenaudit.' || name)
  ) OR EXISTS (
    SELECT FROM tenaudit.partition_tenants(month) AS there (tenant_id)
    JOIN tenaudit.logs AS l ON l.tenant_id = there.tenant_id
    WHERE l.held OR there.tenant_id <> ALL (coalesce(tenaudit.current_tenants(), '{}'))
  ) OR EXISTS (
    SELECT FROM tenaudit.partition_tenants(month) AS there (tenant_id)
    WHERE NOT EXISTS (SELECT FROM tenaudit.logs AS l WHERE l.tenant_id = there.tenant_id)
  ) THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP TABLE tenaudit.%I', name);
  RETURN true;
END
$$;
REVOKE ALL ON FUNCTION tenaudit.drop_partition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenaudit.drop_partition TO tenaudit_purger;

REVOKE CREATE ON SCHEMA tenaudit FROM tenaudit_lister;
RESET ROLE;

-- What let the one who migrates become the lister goes with it.
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('REVOKE tenaudit_lister FROM %I', current_user);
  END IF;
END
$$;
