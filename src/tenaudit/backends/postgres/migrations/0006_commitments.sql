-- What tells the hashes of values that may be erased: the leaf of a row commits to these hashes.

SET LOCAL ROLE tenaudit_owner;

-- The salt of each place, 16 bytes in their order; and the places as a JSON list, NULL for the actor alone. Once
-- something was erased there are no salts, and commitments is an object that tells the hash of each erased place and
-- the salt of each other.
ALTER TABLE tenaudit.events
  ADD COLUMN salts bytea,
  ADD COLUMN commitments text COLLATE "C";

-- Erasing takes values out of what stays.
GRANT UPDATE (actor_id, resource_id, payload, salts, commitments) ON tenaudit.events TO tenaudit_purger;

RESET ROLE;
