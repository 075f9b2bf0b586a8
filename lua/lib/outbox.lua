-- One entry of the outbox: one field `entry`, whose words stand in this order, each behind one space; what there is none of is empty.
-- One text costs Redis, and whoever reads it, a third of what a field for each word does.
--   kind     `issued` (a token went out), `awarded`, `refused` (a proof failed and spent the token), `traded` (an anti-spam token
--            and its proof for a proven token), `started` and `ended` (a game session), `adjusted`, `voided` and `confirmed`
--            (an operator's doing)
--   id       the attempt's id: the event id of the award, unique, since a token is redeemed once
--   user, action, points
--   before, after, moment    of what moves a total; `confirmed` has a moment too, and what spends a token or proves something
--   at       ms by Redis' clock
--   issued, expires          of the token or the session (ms)
--   token    hash of the token that was spent
--   session  the game session's id
--   next     hash of the act_ token that goes out with this entry
--   actions  awards in the session so far
--   held     1 if the user was set aside, so that the points are not shown
--   once     when the proof's attestations run out (ms), and their keys, with commas between
--   trace    the W3C traceparent to go on from, if the request is traced
--   proof    JSON, which may have spaces: so it is the last

local function write_outbox(outbox_key, entry)
  redis.call('XADD', outbox_key, '*', 'entry', entry.kind .. ' ' .. entry.id .. ' ' .. entry.user .. ' ' .. (entry.action or '')
    .. ' ' .. (entry.points or '') .. ' ' .. (entry.before or '') .. ' ' .. (entry.after or '') .. ' ' .. (entry.hlc_us or '')
    .. ' ' .. now_text .. ' ' .. (entry.issued or now_text) .. ' ' .. (entry.expires or now_text) .. ' ' .. (entry.token or '')
    .. ' ' .. (entry.session or '') .. ' ' .. (entry.next or '') .. ' ' .. (entry.actions or '')
    .. ' ' .. (entry.held and '1' or '0') .. ' ' .. (entry.once or '') .. ' ' .. (entry.trace or '') .. ' ' .. (entry.proof or ''))
end
