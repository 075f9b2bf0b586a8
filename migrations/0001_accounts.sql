-- Players. The two source documents disagree on the key: a UUID is what boards and tokens carry, the serial number is
-- what the game API shows. Both are unique, and either finds a user.
CREATE TABLE users (
    id            UUID PRIMARY KEY,
    number        BIGINT GENERATED ALWAYS AS IDENTITY,
    username      VARCHAR(50) NOT NULL,
    email         VARCHAR(255) NOT NULL,
    -- PHC string of Argon2id; a text that is none (seeded users) never logs in.
    password_hash TEXT NOT NULL,
    role          VARCHAR(20) NOT NULL DEFAULT 'player',
    -- The sum of the user's ledger, moved in the same transaction. Doubles, and so Redis' scores, are exact to 2^53.
    score         BIGINT NOT NULL DEFAULT 0 CHECK (score BETWEEN 0 AND 9007199254740991),
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);
-- The game API's paths take the number.
CREATE UNIQUE INDEX users_number_key ON users (number);
-- Unique without regard to case; logins look a user up by it.
CREATE UNIQUE INDEX users_username_key ON users (lower(username));
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
