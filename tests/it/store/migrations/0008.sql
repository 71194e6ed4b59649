-- Adds to the sample of migration 7: counts of a minute.
INSERT INTO minutes (minute, measure, count) VALUES (29933513, 0, 2), (29933513, 1, 3), (29933513, 40, 1);
