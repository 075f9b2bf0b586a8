-- Writes one entry of the outbox: one field `entry` whose words are separated by single spaces; an absent word is empty. One text costs
-- Redis, and every reader, a third of what a field for each word costs. src/store/outbox/entry.rs declares the words and their order, and fills
-- in the last argument below. A caller may name these in `entry`:
--   kind      `issued` (a token), `awarded`, `refused` (a failed proof spent the token), `traded` (an anti-spam token and its proof for a
--             proven token), `started` and `ended` (a game session), `adjusted`, `voided` and `approved` (an admin's action)
--   id        id of the attempt: the event id of the award, unique, since a token is redeemed once
--   user, action, points
--   before, after, hlc_us    of what changes a total; `approved` and what spends a token or proves something have an HLC too
--   issued, expires          of the token or the session (ms)
--   token     SHA-256 of the token that was spent
--   session   id of the game session
--   next      SHA-256 of the act_ token that this entry issues
--   actions   awards in the session so far
--   held      1 if the user is quarantined, so that the points are not shown
--   once      when the attestations of the proof expire (ms), and their keys, separated by commas
--   trace     traceparent to continue, if the request is traced
--   result    what an award is worth on boards: JSON `{"value":n,"subscore":n,"tags":{"name":"value"}}` with the keys that exist
--   proof     JSON, which may have spaces: so it comes last

local function write_outbox(outbox_key, entry)
  redis.call('XADD', outbox_key, '*', 'entry', ENTRY_WORDS)
end
