-- Version 4: the roots of complete subtrees of 256, 65 536, ... leaves, so that a proof reads few hashes.

CREATE TABLE subtrees (
  tenant_id TEXT NOT NULL,
  level INTEGER NOT NULL,
  place INTEGER NOT NULL,
  root BLOB NOT NULL,
  PRIMARY KEY (tenant_id, level, place)
) STRICT, WITHOUT ROWID;
