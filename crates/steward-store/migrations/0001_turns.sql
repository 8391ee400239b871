-- Sessions, what came in, turns with their journal, questions to people, and what goes out.
-- Instants are epoch milliseconds, money is pico-dollars, JSON is text. See src/migrations.rs for the words in braces.

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    channel TEXT NOT NULL,
    thread TEXT NOT NULL,
    principal TEXT NOT NULL,
    mode TEXT,
    model TEXT,
    created_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    UNIQUE (agent, channel, thread)
);
CREATE INDEX sessions_by_last_at ON sessions (last_at);

CREATE TABLE turns (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    agent TEXT NOT NULL,
    principal TEXT NOT NULL,
    surface TEXT NOT NULL,
    status TEXT NOT NULL,
    text TEXT NOT NULL,
    steps BIGINT NOT NULL,
    cost_pico BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX turns_by_session ON turns (session_id, id);
CREATE INDEX turns_open ON turns (session_id) WHERE status IN ('running', 'waiting');

CREATE TABLE inbox (
    id TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    external_id TEXT NOT NULL,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    principal TEXT NOT NULL,
    surface TEXT NOT NULL,
    parts TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    turn_id TEXT,
    state TEXT NOT NULL,
    UNIQUE (channel, external_id)
);
CREATE INDEX inbox_waiting ON inbox (session_id, id) WHERE state = 'waiting';
CREATE INDEX inbox_by_turn ON inbox (turn_id);

CREATE TABLE journal (
    seq {AUTO_ID},
    turn_id TEXT NOT NULL REFERENCES turns (id),
    session_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    event TEXT NOT NULL
);
CREATE INDEX journal_by_turn ON journal (turn_id, seq);
CREATE INDEX journal_by_session ON journal (session_id, seq);

CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    turn_id TEXT NOT NULL REFERENCES turns (id),
    call_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    kind TEXT NOT NULL,
    tool TEXT NOT NULL,
    args TEXT NOT NULL,
    effect TEXT NOT NULL,
    reason TEXT NOT NULL,
    rule TEXT NOT NULL,
    digest TEXT NOT NULL,
    choices TEXT NOT NULL,
    state TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    answered_at BIGINT,
    answered_by TEXT,
    scope TEXT,
    note TEXT NOT NULL
);
CREATE INDEX approvals_by_turn ON approvals (turn_id);
CREATE INDEX approvals_waiting ON approvals (expires_at) WHERE state = 'waiting';

CREATE TABLE grants (
    id {AUTO_ID},
    agent TEXT NOT NULL,
    session_id TEXT,
    tool TEXT NOT NULL,
    pattern TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);
CREATE INDEX grants_by_agent ON grants (agent);

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    turn_id TEXT,
    channel TEXT NOT NULL,
    thread TEXT NOT NULL,
    text TEXT NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    is_possible_repeat BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    last_error TEXT,
    receipt TEXT,
    created_at BIGINT NOT NULL,
    sent_at BIGINT
);
CREATE INDEX outbox_open ON outbox (channel, thread, id) WHERE state IN ('pending', 'sending');
CREATE INDEX outbox_by_session ON outbox (session_id, id);
