-- has_schema: Tell whether tables of tenaudit are there.
SELECT to_regclass('tenaudit_schema') IS NOT NULL

-- read_version: Return the version of the table of keys.
SELECT version FROM tenaudit_schema WHERE part = 'api_keys'

-- lock_schema: Let one creator of tables in at a time; CREATE TABLE IF NOT EXISTS alone fails when two of them meet.
SELECT pg_advisory_xact_lock($1)

-- create_versions: Make the table that says which version each part of the schema has.
CREATE TABLE IF NOT EXISTS tenaudit_schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL)

-- create_table: Make the table of keys. Times are Unix seconds.
CREATE TABLE IF NOT EXISTS tenaudit_api_keys (
  prefix TEXT COLLATE "C" PRIMARY KEY,
  secret_hash BYTEA NOT NULL,
  tenant_id UUID NOT NULL,
  roles TEXT[] NOT NULL,
  expires_at DOUBLE PRECISION,
  revoked BOOLEAN NOT NULL,
  created_at DOUBLE PRECISION,
  revoked_at DOUBLE PRECISION,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  rotated_from TEXT,
  replaced_by TEXT
)

-- create_index: Make the order in which a tenant's keys are listed.
CREATE INDEX IF NOT EXISTS tenaudit_api_keys_by_tenant ON tenaudit_api_keys (tenant_id, prefix)

-- write_version: Note the version of the table of keys, unless it is noted.
INSERT INTO tenaudit_schema (part, version) VALUES ('api_keys', $1) ON CONFLICT DO NOTHING

-- get_key: Return the record of a prefix.
SELECT * FROM tenaudit_api_keys WHERE prefix = $1

-- lock_key: Return the record of a prefix, which no one else may change until the transaction ends.
SELECT * FROM tenaudit_api_keys WHERE prefix = $1 FOR UPDATE

-- claim_key: Add a record unless its prefix is there, and return what is there now, locked in either case.
INSERT INTO tenaudit_api_keys (
  prefix, secret_hash, tenant_id, roles, expires_at, revoked, created_at, revoked_at, name, description, rotated_from,
  replaced_by
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (prefix) DO UPDATE SET prefix = EXCLUDED.prefix RETURNING *

-- write_key: Set what may change of a key; secret and tenant of a prefix never do.
UPDATE tenaudit_api_keys SET
  roles = $4, expires_at = $5, revoked = $6, created_at = $7, revoked_at = $8, name = $9, description = $10,
  rotated_from = $11, replaced_by = $12
WHERE prefix = $1 AND secret_hash = $2 AND tenant_id = $3

-- list_keys: Return records behind a prefix, of one tenant or of all.
SELECT * FROM tenaudit_api_keys
WHERE ($1::uuid IS NULL OR tenant_id = $1::uuid) AND prefix > $2
ORDER BY prefix LIMIT $3
