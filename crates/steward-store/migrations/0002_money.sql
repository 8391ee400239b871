-- One row for each model call: reserved before it leaves, settled when its cost is known.

CREATE TABLE ledger (
    request_id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    principal TEXT NOT NULL,
    user_name TEXT,
    team TEXT,
    agent TEXT,
    session_id TEXT,
    turn_id TEXT,
    step BIGINT,
    key_id TEXT,
    route TEXT NOT NULL,
    target TEXT NOT NULL,
    usage TEXT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost_pico BIGINT NOT NULL,
    price_version TEXT NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    first_token_ms BIGINT,
    total_ms BIGINT NOT NULL,
    state TEXT NOT NULL,
    reserved_pico BIGINT NOT NULL
);
CREATE INDEX ledger_by_at ON ledger (at);
CREATE INDEX ledger_by_turn ON ledger (turn_id);
CREATE INDEX ledger_by_session ON ledger (session_id);
CREATE INDEX ledger_reserved ON ledger (at) WHERE state = 'reserved';
