-- create_table: Make the table. AUTOINCREMENT: no id is given out twice. Times are Unix seconds.
CREATE TABLE IF NOT EXISTS dead_letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  number INTEGER NOT NULL,
  place INTEGER NOT NULL,
  digest BLOB NOT NULL,
  record_key BLOB,
  value BLOB,
  value_bytes INTEGER,
  headers TEXT NOT NULL,
  is_whole INTEGER NOT NULL,
  written_ms INTEGER,
  reason TEXT NOT NULL,
  first_seen REAL NOT NULL,
  last_seen REAL NOT NULL,
  times_seen INTEGER NOT NULL DEFAULT 1,
  replays INTEGER NOT NULL DEFAULT 0,
  UNIQUE (topic, number, place, digest)
) STRICT

-- has_table: Tell whether the file has ever kept a dead letter.
SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'dead_letters')

-- seen_again: Note that a record that is kept came again.
UPDATE dead_letters SET reason = :reason, last_seen = :now, times_seen = times_seen + 1
WHERE topic = :topic AND number = :number AND place = :place AND digest = :digest

-- totals: Return how many letters there are, and how many bytes are kept of them.
SELECT COUNT(*), IFNULL(SUM(IFNULL(LENGTH(record_key), 0) + LENGTH(headers) + IFNULL(LENGTH(value), 0)), 0)
FROM dead_letters

-- put_letter: Keep a record.
INSERT INTO dead_letters (
  topic, number, place, digest, record_key, value, value_bytes, headers, is_whole, written_ms, reason, first_seen,
  last_seen
) VALUES (
  :topic, :number, :place, :digest, :record_key, :value, :value_bytes, :headers, :is_whole, :written_ms, :reason, :now,
  :now
)

-- list_letters: Return what is told of letters behind an id, without their bytes.
SELECT id, topic, number, place, value_bytes, is_whole, reason, first_seen, last_seen, times_seen, replays
FROM dead_letters WHERE id > :after ORDER BY id LIMIT :limit

-- get_letter: Return what is told of one letter, without its bytes.
SELECT id, topic, number, place, value_bytes, is_whole, reason, first_seen, last_seen, times_seen, replays
FROM dead_letters WHERE id = :id

-- get_record: Return the record of one letter.
SELECT topic, number, place, record_key, value, headers, written_ms FROM dead_letters WHERE id = :id

-- refuse_letter: Note a replay in vain, and why it was.
UPDATE dead_letters SET reason = :reason, replays = replays + 1 WHERE id = :id

-- delete_letter: Delete one letter.
DELETE FROM dead_letters WHERE id = :id
