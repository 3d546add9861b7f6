-- Version 3 is that of another change.
SELECT 1;
