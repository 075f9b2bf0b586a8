-- What a user's own channel carries after an award or an adjustment: `score rank rank_before points hlc_us`. `PersonalUpdate` in src/store is
-- the same in Rust.

local function publish_update(channel, score, rank, rank_before, points, hlc_us)
  redis.call('PUBLISH', channel, score .. ' ' .. rank .. ' ' .. rank_before .. ' ' .. points .. ' ' .. hlc_us)
end
