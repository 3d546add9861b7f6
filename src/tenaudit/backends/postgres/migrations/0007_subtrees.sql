-- The roots of complete subtrees of 256, 65 536, ... leaves, so that a proof reads few hashes.

SET LOCAL ROLE tenaudit_owner;

CREATE TABLE tenaudit.subtrees (
  tenant_id uuid NOT NULL,
  level smallint NOT NULL,
  place bigint NOT NULL,
  root bytea NOT NULL,
  PRIMARY KEY (tenant_id, level, place)
);
CALL tenaudit.secure('tenaudit.subtrees');

GRANT SELECT ON tenaudit.subtrees TO tenaudit_writer, tenaudit_reader, tenaudit_purger;
GRANT INSERT ON tenaudit.subtrees TO tenaudit_writer, tenaudit_purger;

-- Nobody appends until the logs that are there have theirs.
LOCK TABLE tenaudit.logs IN EXCLUSIVE MODE;

DO $$
DECLARE
  log record;
  hashes bytea[];
BEGIN
  FOR log IN SELECT tenant_id, size FROM tenaudit.logs WHERE size >= 256 LOOP
    PERFORM set_config('tenaudit.tenants', log.tenant_id::text, true);
    FOR height IN 1 .. 7 LOOP
      FOR nth IN 0 .. (log.size >> (8 * height)) - 1 LOOP
        IF height = 1 THEN
          SELECT array_agg(leaf_hash ORDER BY idx) INTO hashes FROM tenaudit.leaves
          WHERE tenant_id = log.tenant_id AND idx BETWEEN nth * 256 AND nth * 256 + 255;
        ELSE
          SELECT array_agg(root ORDER BY place) INTO hashes FROM tenaudit.subtrees
          WHERE tenant_id = log.tenant_id AND level = 8 * (height - 1) AND place BETWEEN nth * 256 AND nth * 256 + 255;
        END IF;
        -- What was tampered with has none: verification names it.
        CONTINUE WHEN cardinality(hashes) IS DISTINCT FROM 256;
        -- An inner node is the hash of a byte 1 and both children (RFC 9162 section 2.1.1).
        WHILE cardinality(hashes) > 1 LOOP
          SELECT array_agg(sha256('\x01'::bytea || hashes[2 * pair - 1] || hashes[2 * pair]) ORDER BY pair) INTO hashes
          FROM generate_series(1, cardinality(hashes) / 2) AS pair;
        END LOOP;
        INSERT INTO tenaudit.subtrees VALUES (log.tenant_id, 8 * height, nth, hashes[1]);
      END LOOP;
    END LOOP;
  END LOOP;
  PERFORM set_config('tenaudit.tenants', '', true);
END
$$;

RESET ROLE;
