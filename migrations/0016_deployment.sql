-- Which deployment this is. Logins carry it as their `aud`, so that two deployments which share a secret do not share logins. Whoever
-- copies a database copies the id too: give the copy another one (`UPDATE deployment SET id = gen_random_uuid()`), or set auth.audience.
CREATE TABLE deployment (
    singleton BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (singleton),
    id  UUID NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO deployment DEFAULT VALUES;
