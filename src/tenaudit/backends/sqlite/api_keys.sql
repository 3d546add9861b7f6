-- create_table: Make the table of keys. Times are Unix seconds, roles a sorted JSON list, ids lower-case UUID text.
CREATE TABLE IF NOT EXISTS api_keys (
  prefix TEXT PRIMARY KEY,
  secret_hash BLOB NOT NULL,
  tenant_id TEXT NOT NULL,
  roles TEXT NOT NULL,
  expires_at REAL,
  revoked INTEGER NOT NULL,
  created_at REAL,
  revoked_at REAL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  rotated_from TEXT,
  replaced_by TEXT
) STRICT, WITHOUT ROWID

-- create_index: Make the order in which a tenant's keys are listed.
CREATE INDEX IF NOT EXISTS api_keys_by_tenant ON api_keys (tenant_id, prefix)

-- get_key: Return the record of a prefix.
SELECT * FROM api_keys WHERE prefix = :prefix

-- claim_key: Add a record unless its prefix is there, and return what is there now.
INSERT INTO api_keys (
  prefix, secret_hash, tenant_id, roles, expires_at, revoked, created_at, revoked_at, name, description, rotated_from,
  replaced_by
) VALUES (
  :prefix, :secret_hash, :tenant_id, :roles, :expires_at, :revoked, :created_at, :revoked_at, :name, :description,
  :rotated_from, :replaced_by
) ON CONFLICT (prefix) DO UPDATE SET prefix = excluded.prefix RETURNING *

-- write_key: Set what may change of a key; secret and tenant of a prefix never do.
UPDATE api_keys SET
  roles = :roles, expires_at = :expires_at, revoked = :revoked, created_at = :created_at, revoked_at = :revoked_at,
  name = :name, description = :description, rotated_from = :rotated_from, replaced_by = :replaced_by
WHERE prefix = :prefix AND secret_hash = :secret_hash AND tenant_id = :tenant_id

-- list_keys: Return records behind a prefix, of one tenant or of all.
SELECT * FROM api_keys
WHERE (:tenant_id IS NULL OR tenant_id = :tenant_id) AND prefix > :after
ORDER BY prefix LIMIT :limit
