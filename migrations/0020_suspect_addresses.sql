-- From which addresses the signs against a user came, by UTC hour: so an operator sees who is behind an address. Nobody else's address
-- is kept.
CREATE TABLE suspect_addresses (
    address VARCHAR(50) NOT NULL,
    user_id UUID NOT NULL,
    -- As in suspicions.
    sign    VARCHAR(20) NOT NULL,
    hour    TIMESTAMPTZ NOT NULL,
    count   BIGINT NOT NULL,
    last_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (address, user_id, sign, hour)
);
CREATE INDEX suspect_addresses_user ON suspect_addresses (user_id, hour);
-- Old rows are swept.
CREATE INDEX suspect_addresses_hour ON suspect_addresses (hour);
