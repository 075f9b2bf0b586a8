-- The first element of every script's reply. src/store/reply.rs maps the same numbers to one enum.
local OK = 0
local RATE_LIMITED = 1
local BANNED = 2
local TOKEN_UNKNOWN = 3
local TOKEN_EXPIRED = 4
local TOKEN_USED = 5
local ACTION_LIMITED = 6
local PROOF_INVALID = 7
local SCORE_FULL = 8
local BOARD_CLOSED = 9
local OUTBOX_FULL = 10
local KEY_REUSED = 11
local NO_SESSION = 12
local SESSION_MISMATCH = 13
