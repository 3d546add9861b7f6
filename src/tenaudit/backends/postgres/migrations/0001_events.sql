-- Roles, the schema, and the tables of events and of their log.

-- The roles are the server's and not the database's: another database may have made them, even at this moment.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['tenaudit_owner', 'tenaudit_writer', 'tenaudit_reader', 'tenaudit_purger'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
  END LOOP;
  -- Who is no superuser hands tables over only to a role that he can become.
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT tenaudit_owner TO %I', current_user);
  END IF;
END
$$;

CREATE SCHEMA tenaudit AUTHORIZATION tenaudit_owner;

SET LOCAL ROLE tenaudit_owner;

GRANT USAGE ON SCHEMA tenaudit TO tenaudit_writer, tenaudit_reader, tenaudit_purger;

CREATE TABLE tenaudit.migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  checksum bytea NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);

-- The two secrets: of the hashes that tell a duplicate from a conflict, and of the cursors.
CREATE TABLE tenaudit.meta (
  name text PRIMARY KEY,
  value bytea NOT NULL
);

INSERT INTO tenaudit.meta (name, value)
SELECT secret, sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'))
FROM unnest(ARRAY['content_key', 'cursor_key']) AS secret;

-- One row an event; text sorts by code point, as it does everywhere else in tenaudit. The payload is the very text
-- that its leaf commits to, which jsonb would not keep.
CREATE TABLE tenaudit.events (
  tenant_id uuid NOT NULL,
  event_id uuid NOT NULL,
  occurred_at timestamptz NOT NULL CHECK (occurred_at >= '0001-01-01 00:00Z' AND occurred_at < '10000-01-01 00:00Z'),
  actor_id text COLLATE "C",
  actor_type text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  resource_type text COLLATE "C",
  resource_id text COLLATE "C",
  outcome text COLLATE "C" NOT NULL,
  severity text COLLATE "C" NOT NULL,
  service text COLLATE "C" NOT NULL,
  trace_id text COLLATE "C",
  schema_version bigint NOT NULL,
  payload text COLLATE "C" NOT NULL,
  redactions text COLLATE "C" NOT NULL,
  producer_id text COLLATE "C",
  seq bigint,
  content_hash bytea NOT NULL,
  log_index bigint NOT NULL,
  PRIMARY KEY (tenant_id, event_id)
) PARTITION BY RANGE (event_id);

-- A B-tree refuses an entry of more than 2704 bytes, so the longest actors and resources are left to the primary key.
CREATE INDEX events_by_actor ON tenaudit.events (tenant_id, actor_id, event_id) WHERE octet_length(actor_id) <= 512;
CREATE INDEX events_by_action ON tenaudit.events (tenant_id, action, event_id);
CREATE INDEX events_by_resource ON tenaudit.events (tenant_id, resource_type, resource_id, event_id)
  WHERE octet_length(resource_id) <= 512;
CREATE INDEX events_by_trace ON tenaudit.events (tenant_id, trace_id) WHERE trace_id IS NOT NULL;

-- What belongs to no month that has a partition.
CREATE TABLE tenaudit.events_default PARTITION OF tenaudit.events DEFAULT;

-- The log of each tenant: the leaf hash of every event in the order of arrival, without gaps.
CREATE TABLE tenaudit.leaves (
  tenant_id uuid NOT NULL,
  idx bigint NOT NULL,
  event_id uuid NOT NULL,
  leaf_hash bytea NOT NULL,
  PRIMARY KEY (tenant_id, idx)
);

-- The head of each log: the right frontier of its Merkle tree, the chain over its checkpoints, and the size of the last
-- one. Its row is the lock of the tenant's one sequencer. It tells tenants and sizes and nothing of an event, so it is
-- the one table of tenants that is not secured by row.
CREATE TABLE tenaudit.logs (
  tenant_id uuid PRIMARY KEY,
  size bigint NOT NULL DEFAULT 0,
  frontier bytea NOT NULL DEFAULT '',
  seals bytea NOT NULL DEFAULT '',
  sealed bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE tenaudit.checkpoints (
  tenant_id uuid NOT NULL,
  size bigint NOT NULL,
  root bytea NOT NULL,
  body text COLLATE "C" NOT NULL,
  sealed_at text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, size)
);

-- An id that came again with other content: evidence, never overwritten.
CREATE TABLE tenaudit.conflicts (
  tenant_id uuid NOT NULL,
  event_id uuid NOT NULL,
  content_hash bytea NOT NULL,
  record text COLLATE "C" NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, event_id, content_hash)
);

-- The tenants that a transaction is about: ids with commas between. A setting that was never made is NULL, and one
-- that a transaction made is '' after it: both are no tenant, and what is no list of ids is an error.
CREATE FUNCTION tenaudit.current_tenants() RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN string_to_array(current_setting('tenaudit.tenants', true), ',')::uuid[];

-- Secures a table by row, for its owner too. A partition has the policy of its own that a direct look at it needs.
CREATE PROCEDURE tenaudit.secure(secured regclass)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', secured);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', secured);
  -- The subquery is evaluated once a statement, and not once a row.
  EXECUTE format(
    'CREATE POLICY tenant ON %s USING (tenant_id = ANY ((SELECT tenaudit.current_tenants())::uuid[]))', secured
  );
END
$$;
REVOKE ALL ON PROCEDURE tenaudit.secure FROM PUBLIC;

CALL tenaudit.secure('tenaudit.events');
CALL tenaudit.secure('tenaudit.events_default');
CALL tenaudit.secure('tenaudit.leaves');
CALL tenaudit.secure('tenaudit.checkpoints');
CALL tenaudit.secure('tenaudit.conflicts');

GRANT SELECT ON tenaudit.migrations, tenaudit.meta, tenaudit.events, tenaudit.leaves, tenaudit.logs,
  tenaudit.checkpoints, tenaudit.conflicts TO tenaudit_writer, tenaudit_reader, tenaudit_purger;
GRANT INSERT ON tenaudit.events, tenaudit.leaves, tenaudit.logs, tenaudit.checkpoints, tenaudit.conflicts
  TO tenaudit_writer;
GRANT UPDATE ON tenaudit.logs TO tenaudit_writer;
GRANT DELETE ON tenaudit.events, tenaudit.conflicts TO tenaudit_purger;

RESET ROLE;
