-- Reserves all claims or none: the rules of book.rs, where every replica sees the same book.
--
-- KEYS[1]      the index: names of the accounts that may count something
-- KEYS[1 + i]  the account of claim i: a hash of `u<bucket>` (used) and `h<bucket>` (held)
-- ARGV[1]      what keys of accounts begin with
-- ARGV[2]      how long a bucket that has ended is kept for what is held in it, in milliseconds
-- then for each claim six: its name in the index, the first bucket that counts, its bucket, its amount, its limit
-- (-1: none), how long the account is kept, in milliseconds.
--
-- Returns {1, {used, held, last bucket}...} in the order of the claims, or {0, {claim, used, held, last bucket, the
-- bucket whose end frees enough}...} for those that pass their limit; -1: there is no such bucket.

local FIRST, EACH = 3, 6
local books, asked = {}, {}

local function book(key)
  if books[key] then return books[key] end
  local found, seen, all = { used = {}, held = {}, starts = {} }, {}, redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local start = tonumber(string.sub(all[i], 2))
    local amounts = string.sub(all[i], 1, 1) == 'u' and found.used or found.held
    amounts[start] = tonumber(all[i + 1])
    if not seen[start] then
      seen[start] = true
      table.insert(found.starts, start)
    end
  end
  table.sort(found.starts)
  books[key] = found
  return found
end

local function sum(found, start)
  return (found.used[start] or 0) + (found.held[start] or 0)
end

local function balance(found, from)
  local used, held, last = 0, 0, -1
  for _, start in ipairs(found.starts) do
    if start >= from then
      used = used + (found.used[start] or 0)
      held = held + (found.held[start] or 0)
      if sum(found, start) > 0 then last = start end
    end
  end
  return used, held, last
end

local function claim(i)
  local at = FIRST + (i - 1) * EACH
  return {
    key = KEYS[1 + i], name = ARGV[at], from = tonumber(ARGV[at + 1]), bucket = tonumber(ARGV[at + 2]),
    amount = tonumber(ARGV[at + 3]), limit = tonumber(ARGV[at + 4]), keep = ARGV[at + 5],
    said = { bucket = ARGV[at + 2], amount = ARGV[at + 3] },
  }
end

local refused = { 0 }
for i = 1, #KEYS - 1 do
  local it = claim(i)
  local found = book(it.key)
  asked[it.key] = (asked[it.key] or 0) + it.amount
  if it.limit >= 0 then
    local used, held, last = balance(found, it.from)
    local excess = used + held + asked[it.key] - it.limit
    if excess > 0 then
      local freed, frees = 0, -1
      if asked[it.key] <= it.limit then
        for _, start in ipairs(found.starts) do
          if start >= it.from and frees < 0 then
            freed = freed + sum(found, start)
            if freed >= excess then frees = start end
          end
        end
      end
      table.insert(refused, { i - 1, used, held, last, frees })
    end
  end
end
if #refused > 1 then return refused end

local held = { 1 }
for i = 1, #KEYS - 1 do
  local it = claim(i)
  local found = book(it.key)
  for _, start in ipairs(found.starts) do
    local idle = (found.held[start] or 0) <= 0
    if start < it.from and (idle or start < it.from - tonumber(ARGV[2])) then
      redis.call('HDEL', it.key, 'u' .. string.format('%.0f', start), 'h' .. string.format('%.0f', start))
    end
  end
  redis.call('HINCRBY', it.key, 'h' .. it.said.bucket, it.said.amount)
  redis.call('PEXPIRE', it.key, it.keep)
  books[it.key] = nil
  local used, now_held, last = balance(book(it.key), it.from)
  table.insert(held, { used, now_held, last })
  if redis.call('ZADD', KEYS[1], 0, it.name) == 1 then
    -- A new name is the time to look after three old ones, so that the index does not grow for ever.
    for _, name in ipairs(redis.call('ZRANDMEMBER', KEYS[1], 3)) do
      if redis.call('EXISTS', ARGV[1] .. name) == 0 then redis.call('ZREM', KEYS[1], name) end
    end
  end
end
return held
