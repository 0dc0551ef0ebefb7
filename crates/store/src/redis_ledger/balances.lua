-- Returns a page of accounts as they stand, and takes those out of the index that are gone.
--
-- KEYS[1]  the index
-- ARGV     what keys of accounts begin with; the first and the last name; how many at most; then for each period its
--          word and the first bucket that counts
--
-- Returns {name, used, held, last bucket that counts something} for each name of the page; -1: there is none.

local from = {}
for i = 5, #ARGV, 2 do from[ARGV[i]] = tonumber(ARGV[i + 1]) end

local page = {}
for _, name in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])) do
  local key = ARGV[1] .. name
  local first = from[string.match(name, '[^%z]*$')] or 0
  local used, held, last, all = 0, 0, -1, redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local start, amount = tonumber(string.sub(all[i], 2)), tonumber(all[i + 1])
    if start >= first and amount > 0 then
      if string.sub(all[i], 1, 1) == 'u' then used = used + amount else held = held + amount end
      if start > last then last = start end
    end
  end
  if #all == 0 then redis.call('ZREM', KEYS[1], name) end
  table.insert(page, { name, used, held, last })
end
return page
