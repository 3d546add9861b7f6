-- lock: Keep every other consumer from adding letters until the transaction ends, so that a bound is one.
SELECT pg_advisory_xact_lock(8739430118)

-- seen_again: Note that a record that is kept came again.
UPDATE tenaudit.dead_letters SET reason = $5, last_seen = $6, times_seen = times_seen + 1
WHERE topic = $1 AND number = $2 AND place = $3 AND digest = $4 RETURNING id

-- totals: Return how many letters there are, and how many bytes are kept of them.
SELECT count(*), coalesce(sum(coalesce(octet_length(record_key), 0) + octet_length(headers)
  + coalesce(octet_length(value), 0)), 0)::bigint FROM tenaudit.dead_letters

-- put_letter: Keep a record.
INSERT INTO tenaudit.dead_letters (
  topic, number, place, digest, record_key, value, value_bytes, headers, is_whole, written_ms, reason, first_seen,
  last_seen
) VALUES ($1, $2, $3, $4, $7, $8, $9, $10, $11, $12, $5, $6, $6)

-- list_letters: Return what is told of letters behind an id, without their bytes.
SELECT id, topic, number, place, value_bytes, is_whole, reason, first_seen, last_seen, times_seen, replays
FROM tenaudit.dead_letters WHERE id > $1 ORDER BY id LIMIT $2

-- get_letter: Return what is told of one letter, without its bytes.
SELECT id, topic, number, place, value_bytes, is_whole, reason, first_seen, last_seen, times_seen, replays
FROM tenaudit.dead_letters WHERE id = $1

-- get_record: Return the record of one letter.
SELECT topic, number, place, record_key, value, headers, written_ms FROM tenaudit.dead_letters WHERE id = $1

-- refuse_letter: Note a replay in vain, and why it was.
UPDATE tenaudit.dead_letters SET reason = $2, replays = replays + 1 WHERE id = $1

-- may_delete: Tell whether this connection may delete letters, and who it is.
SELECT has_table_privilege('tenaudit.dead_letters', 'DELETE'), current_user

-- delete_letter: Delete one letter.
DELETE FROM tenaudit.dead_letters WHERE id = $1 RETURNING id
