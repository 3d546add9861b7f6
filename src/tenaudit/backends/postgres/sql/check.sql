-- newest: Return the newest migration that was applied, NULL without any.
SELECT max(version) FROM tenaudit.migrations

-- has_schema: Tell whether the tables are there.
SELECT EXISTS (
  SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = 'tenaudit' AND c.relname = 'migrations'
)

-- who: Return what the connection's role may do beyond its grants, and whether it was granted any.
SELECT r.rolname AS name, r.rolsuper AS is_superuser, r.rolbypassrls AS bypasses,
  EXISTS (
    SELECT 1 FROM pg_roles AS l WHERE l.rolname = 'tenaudit_lister' AND pg_has_role(r.oid, l.oid, 'MEMBER')
  ) AS is_lister,
  CASE WHEN has_schema_privilege('tenaudit', 'USAGE') THEN has_table_privilege('tenaudit.events', 'SELECT')
    ELSE false END AS may_read
FROM pg_roles AS r WHERE r.rolname = current_user

-- unsecured: List the tables of tenants, partitions among them, that are not secured by row, for their owner too.
SELECT c.relname AS name, c.relrowsecurity AS is_enabled, c.relforcerowsecurity AS is_forced,
  pg_has_role(c.relowner, 'USAGE') AS is_own
FROM pg_class AS c
WHERE (
    c.oid IN (SELECT relid FROM pg_partition_tree('tenaudit.events'))
    OR c.oid IN (
      'tenaudit.leaves'::regclass, 'tenaudit.checkpoints'::regclass, 'tenaudit.conflicts'::regclass,
      'tenaudit.retention_records'::regclass, 'tenaudit.subtrees'::regclass
    )
  ) AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY c.relname

-- policies: List the policies of those tables that no migration made.
SELECT c.relname AS name, p.polname AS policy
FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
WHERE (
    c.oid IN (SELECT relid FROM pg_partition_tree('tenaudit.events'))
    OR c.oid IN (
      'tenaudit.leaves'::regclass, 'tenaudit.checkpoints'::regclass, 'tenaudit.conflicts'::regclass,
      'tenaudit.retention_records'::regclass, 'tenaudit.subtrees'::regclass
    )
  ) AND NOT (
    p.polname = 'tenant'
    OR p.polname = 'lister' AND p.polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = 'tenaudit_lister')]
  )
ORDER BY c.relname, p.polname

-- granted: List the partitions that someone besides their owner was granted anything on.
SELECT c.relname AS name
FROM pg_partition_tree('tenaudit.events') AS t JOIN pg_class AS c ON c.oid = t.relid
WHERE t.isleaf AND EXISTS (
  SELECT 1 FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner
)
ORDER BY c.relname
