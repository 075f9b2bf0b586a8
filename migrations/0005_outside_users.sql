-- Users whom an outside identity provider vouches for. Their row in users is made when their first token arrives, with a
-- password hash that is none and an address that is none, so that they come in by their provider alone.
CREATE TABLE external_identities (
    -- The provider: the token's iss, to the letter.
    issuer  TEXT NOT NULL,
    -- Whom the provider means: the token's sub. It says nothing outside this issuer.
    subject VARCHAR(255) NOT NULL,
    -- Who that is here.
    user_id UUID NOT NULL REFERENCES users (id),
    -- Two nodes that see somebody for the first time at once make one user: the second one meets this key.
    PRIMARY KEY (issuer, subject)
);
