-- Large contents outside the rows, and what files looked like before a turn changed them.

CREATE TABLE blobs (
    id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    media_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    data {BYTES} NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE checkpoints (
    id {AUTO_ID},
    turn_id TEXT NOT NULL REFERENCES turns (id),
    call_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    path TEXT NOT NULL,
    before_blob TEXT REFERENCES blobs (id),
    before_existed BIGINT NOT NULL,
    after_sha256 TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX checkpoints_by_turn ON checkpoints (turn_id, id);
