-- has_table: Tell whether any migration was applied.
SELECT EXISTS (
  SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = 'tenaudit' AND c.relname = 'migrations'
)

-- read_applied: Return the migrations that were applied, in order.
SELECT version, name, checksum, applied_at FROM tenaudit.migrations ORDER BY version

-- lock: Keep every other migration of this database waiting until the transaction ends.
SELECT pg_advisory_xact_lock($1)

-- become_owner: Act as the owner of the tables until the transaction ends or says otherwise.
SET LOCAL ROLE tenaudit_owner

-- write_applied: Note a migration as applied.
INSERT INTO tenaudit.migrations (version, name, checksum) VALUES ($1, $2, $3)

-- become_self: Act as oneself again.
RESET ROLE
