-- That of another change.
SELECT 1;
