-- Sign-ins with an API key, for browsers: the cookie has a token. Neither the token nor the key is stored.

CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY, -- SHA-256 of the token
    mark       BLOB NOT NULL,    -- SHA-256 of the token and the hash of the API key: it shows which key it was
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL  -- within a few minutes
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_use ON sessions (used_at);
