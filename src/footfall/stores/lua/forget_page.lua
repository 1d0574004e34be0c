-- Forget args.page. With args.starts, erase it from the buckets of args.tier that begin there. Without, do what must happen at
-- once: take it out of the running sum with its seconds, of the total, and of all buckets that may still change. Gives back
-- [oldest second done, open minute, minute before or -1, newest and first second of the site, born]; [] where there is no such site.
if not state or (args.born ~= '' and state.born ~= args.born) then return {} end
local keys = {}

local function add(tier, start)
  local bucket = bucket_key(tier, start)
  keys[#keys + 1] = bucket
  if tier == 'second' then
    for part = 1, tonumber(call('HGET', bucket, MORE) or 0) do keys[#keys + 1] = second_key(start, part) end
  end
end

local function erase()
  each_run('EXISTS', keys)
  for _, bucket in ipairs(keys) do call('HDEL', bucket, args.page) end
end

if #args.starts > 0 then
  for _, start in ipairs(args.starts) do add(args.tier, start) end
  erase()
  return {}
end
local first = state.newest - 2 * state.width
for t = first, state.newest do add('second', t) end
add('total', 0)
for _, minute in ipairs({ state.open, state.prev }) do
  add('minute', minute)
  for _, tier in ipairs({ 'hour', 'day', 'month' }) do add(tier, start_of(tier, minute)) end
end
local sets = { unfolded_key(state.open), state.prev and unfolded_key(state.prev) }
call('EXISTS', window_key(), unpack(sets))
erase()
for _, set in ipairs(sets) do call('SREM', set, args.page) end
call('ZREM', window_key(), args.page)
return { first, state.open, state.prev or -1, state.newest, state.first, state.born }
