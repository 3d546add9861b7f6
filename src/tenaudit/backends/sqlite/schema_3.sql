-- Version 3: what tells the hashes of values that may be erased; see tenaudit.audit.integrity.commitments.

ALTER TABLE events ADD COLUMN salts BLOB;
ALTER TABLE events ADD COLUMN commitments TEXT;
