-- Replaces what is held by what was spent.
--
-- KEYS[i]  the account of claim i
-- ARGV, four for each claim: its bucket, its amount, what was spent, how long an account is kept that had been removed.
--
-- Returns {used before, used after} for each claim, in its bucket.

local settled = {}
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 4
  local bucket, amount, spent = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local held = tonumber(redis.call('HGET', key, 'h' .. bucket) or '0')
  if held > amount then
    redis.call('HINCRBY', key, 'h' .. bucket, '-' .. ARGV[at + 2])
  else
    redis.call('HDEL', key, 'h' .. bucket)
  end
  local before = tonumber(redis.call('HGET', key, 'u' .. bucket) or '0')
  if spent > 0 then
    redis.call('HINCRBY', key, 'u' .. bucket, ARGV[at + 3])
    if redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, ARGV[at + 4]) end
  end
  table.insert(settled, { before, before + spent })
end
return settled
