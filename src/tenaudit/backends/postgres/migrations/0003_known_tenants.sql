-- Every tenant that any table mentions, so that verification also finds rows of a tenant that has no log.

-- A role that nobody is a member of: it alone may see rows of every tenant, and of those the tenant's id alone.
DO $$
BEGIN
  BEGIN
    CREATE ROLE tenaudit_lister NOLOGIN;
  EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
  END;
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT tenaudit_owner, tenaudit_lister TO %I', current_user);
  END IF;
END
$$;

SET LOCAL ROLE tenaudit_owner;

GRANT USAGE, CREATE ON SCHEMA tenaudit TO tenaudit_lister;
GRANT SELECT (tenant_id) ON tenaudit.events, tenaudit.leaves, tenaudit.checkpoints, tenaudit.conflicts, tenaudit.logs
  TO tenaudit_lister;
CREATE POLICY lister ON tenaudit.events FOR SELECT TO tenaudit_lister USING (true);
CREATE POLICY lister ON tenaudit.leaves FOR SELECT TO tenaudit_lister USING (true);
CREATE POLICY lister ON tenaudit.checkpoints FOR SELECT TO tenaudit_lister USING (true);
CREATE POLICY lister ON tenaudit.conflicts FOR SELECT TO tenaudit_lister USING (true);

RESET ROLE;
SET LOCAL ROLE tenaudit_lister;

-- Each table is walked from one tenant to the next by its index: as many steps as tenants, however many the rows.
CREATE FUNCTION tenaudit.known_tenants() RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  place text;
  tenant uuid;
BEGIN
  RETURN QUERY SELECT l.tenant_id FROM tenaudit.logs AS l;
  FOREACH place IN ARRAY ARRAY['events', 'leaves', 'checkpoints', 'conflicts'] LOOP
    EXECUTE format('SELECT tenant_id FROM tenaudit.%I ORDER BY tenant_id LIMIT 1', place) INTO tenant;
    WHILE tenant IS NOT NULL LOOP
      RETURN NEXT tenant;
      EXECUTE format('SELECT tenant_id FROM tenaudit.%I WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1', place)
        INTO tenant USING tenant;
    END LOOP;
  END LOOP;
END
$$;
REVOKE ALL ON FUNCTION tenaudit.known_tenants FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenaudit.known_tenants TO tenaudit_writer, tenaudit_reader;

RESET ROLE;
SET LOCAL ROLE tenaudit_owner;
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
