-- A partition for each month, made by the owner's function: who writes may ask for one and can do no more.

SET LOCAL ROLE tenaudit_owner;

-- Returns whether the month has a partition now. Months before 2000 or more than 62 days ahead get none, so that ids
-- with made-up times cannot make thousands; neither does a month of which the default partition holds rows already.
CREATE FUNCTION tenaudit.make_partition(month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  first date := make_date(extract(year FROM month)::integer, extract(month FROM month)::integer, 1);
  next date := (first + interval '1 month')::date;
  name text := 'events_' || to_char(first, 'YYYY_MM');
  bounds text[];
BEGIN
  IF first < date '2000-01-01' OR first > (now() AT TIME ZONE 'UTC')::date + 62 THEN
    RETURN false;
  END IF;
  IF to_regclass('tenaudit.' || name) IS NOT NULL THEN
    RETURN true;
  END IF;
  PERFORM pg_advisory_xact_lock(8739430117);
  IF to_regclass('tenaudit.' || name) IS NOT NULL THEN
    RETURN true;
  END IF;
  -- The first 48 bits of a UUIDv7 are milliseconds since 1970 (RFC 9562 section 5.7).
  SELECT array_agg(substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-0000-0000-000000000000' ORDER BY ms)
  INTO bounds
  FROM (SELECT lpad(to_hex(extract(epoch FROM day)::bigint * 1000), 12, '0') AS ms FROM unnest(ARRAY[first, next]) AS day) AS days;
  BEGIN
    -- Attached and not made in place: that would lock all events against everybody.
    EXECUTE format('CREATE TABLE tenaudit.%I (LIKE tenaudit.events INCLUDING ALL)', name);
    EXECUTE format('CALL tenaudit.secure(%L)', 'tenaudit.' || name);
    EXECUTE format(
      'ALTER TABLE tenaudit.events ATTACH PARTITION tenaudit.%I FOR VALUES FROM (%L) TO (%L)', name, bounds[1], bounds[2]
    );
  EXCEPTION WHEN check_violation THEN
    RETURN false;
  END;
  RETURN true;
END
$$;
REVOKE ALL ON FUNCTION tenaudit.make_partition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenaudit.make_partition TO tenaudit_writer;

SELECT tenaudit.make_partition(((now() AT TIME ZONE 'UTC') + months * interval '1 month')::date)
FROM generate_series(-1, 2) AS months;

RESET ROLE;
