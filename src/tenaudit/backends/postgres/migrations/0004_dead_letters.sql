-- Records of the stream that hold no event, or one that the store refuses.

SET LOCAL ROLE tenaudit_owner;

-- Nobody can tell whose such a record is, so no row belongs to a tenant and nothing is secured by row: what is in the
-- records is kept from readers, who are asked by tenants, altogether. Who consumes keeps records and can neither change
-- nor remove one: that would be an event that never was. Text sorts by code point, as it does everywhere else.
CREATE TABLE tenaudit.dead_letters (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  place bigint NOT NULL,
  digest bytea NOT NULL,
  record_key bytea,
  value bytea,
  value_bytes bigint,
  headers text COLLATE "C" NOT NULL,
  is_whole boolean NOT NULL,
  written_ms bigint,
  reason text COLLATE "C" NOT NULL,
  first_seen timestamptz NOT NULL,
  last_seen timestamptz NOT NULL,
  times_seen bigint NOT NULL DEFAULT 1,
  replays bigint NOT NULL DEFAULT 0,
  UNIQUE (topic, number, place, digest)
);

GRANT SELECT, INSERT, UPDATE (reason, last_seen, times_seen, replays) ON tenaudit.dead_letters TO tenaudit_writer;
GRANT SELECT, DELETE, UPDATE (reason, replays) ON tenaudit.dead_letters TO tenaudit_purger;
GRANT SELECT (id, topic, number, place, value_bytes, is_whole, reason, first_seen, last_seen, times_seen, replays)
  ON tenaudit.dead_letters TO tenaudit_reader;

RESET ROLE;
