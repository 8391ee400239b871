-- Rollouts: where each route's stands, and what happened to it, by whom and why.

CREATE TABLE rollouts (
    route TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE TABLE rollout_events (
    id {AUTO_ID},
    route TEXT NOT NULL,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    share_before TEXT NOT NULL,
    share_after TEXT NOT NULL
);
CREATE INDEX rollout_events_by_route ON rollout_events (route, id);
