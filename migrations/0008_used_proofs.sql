-- Attestations and callbacks that were used, each by its digest, so that a Redis that is loaded from here does not take them again.
CREATE TABLE used_proofs (
    digest   VARCHAR(64) PRIMARY KEY,
    -- It is refused by itself from then on.
    until_at TIMESTAMPTZ NOT NULL
);
-- The sweep looks for those that ran out; a load for those that did not.
CREATE INDEX used_proofs_until_at ON used_proofs (until_at);
