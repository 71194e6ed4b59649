-- Evidence has shown that upstream charged a request that it had refused. Each task that an operator lets be sent all the
-- same is sent once for each such word: 1 from the first of them on.
ALTER TABLE tasks ADD COLUMN refusal_costs INTEGER NOT NULL DEFAULT 0;
