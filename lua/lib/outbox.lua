-- One entry of the outbox. All kinds carry the same fields in the same order, so that the stream stores the names once.
--   kind     `issued` (a token went out), `awarded`, `refused` (a proof failed and spent the token), `traded` (an anti-spam token
--            and its proof for a proven token), `started` and `ended` (a game session), `adjusted`, `voided` and `confirmed`
--            (an operator's doing)
--   id       the attempt's id: the event id of the award, unique, since a token is redeemed once
--   at       ms by Redis' clock
--   session  the game session's id
--   next     hash of the act_ token that goes out with this entry
--   actions  awards in the session so far
--   once     when the proof's attestations run out (ms), and their keys
--   held     1 if the user was set aside, so that the points are not shown
--   trace    the W3C traceparent to go on from; there only if the request is traced, so that others cost nothing
local NO_TRACE = {}

local function write_outbox(outbox_key, entry)
  redis.call('XADD', outbox_key, '*',
    'kind', entry.kind, 'id', entry.id, 'user', entry.user, 'action', entry.action or '', 'points', entry.points or '',
    'before', entry.before or '', 'after', entry.after or '', 'moment', entry.moment or '', 'at', int(now_ms),
    'issued', entry.issued or int(now_ms), 'expires', entry.expires or int(now_ms), 'token', entry.token or '',
    'proof', entry.proof or '', 'session', entry.session or '', 'next', entry.next or '', 'actions', entry.actions or '',
    'held', entry.held and '1' or '0', 'once', entry.once or '',
    unpack(entry.trace and { 'trace', entry.trace } or NO_TRACE))
end
