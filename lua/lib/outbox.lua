-- One entry of the outbox. All kinds carry the same fields in the same order, so that the stream stores the names once.
--   kind     `issued` (a token went out), `awarded`, `refused` (a proof failed and spent the token)
--   id       the token's id: the event id of the award, unique, since a token is redeemed once
--   at       ms by Redis' clock
local function write_outbox(outbox_key, entry)
  redis.call('XADD', outbox_key, '*',
    'kind', entry.kind, 'id', entry.id, 'user', entry.user, 'action', entry.action, 'points', entry.points,
    'before', entry.before or '', 'after', entry.after or '', 'moment', entry.moment or '', 'at', int(now_ms),
    'issued', entry.issued, 'expires', entry.expires, 'token', entry.token or '', 'proof', entry.proof or '')
end
