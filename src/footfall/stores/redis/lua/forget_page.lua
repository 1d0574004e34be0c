-- Forget args.page. With args.starts, erase it from the buckets of args.tier that begin there. Without, do what must happen at
-- once: take it out of the running sum with its seconds, of the total, and of all buckets that may still change. Gives back
-- [oldest second done, open minute, minute before or -1, the older of the site's now and its newest bucket, that bucket, its
-- first, born]; [] where there is no such site.
if not state or (args.born ~= '' and state.born ~= args.born) then return {} end
local keys = {}

local function add(tier, start)
  local bucket = bucket_key(tier, start)
  keys[#keys + 1] = bucket
  if tier == 'second' then
    for part = 1, tonumber(call('HGET', bucket, MORE) or 0) do keys[#keys + 1] = second_key(start, part) end
  end
end

-- What is known of the page's views in an hour or day.
local sketches, places = {}, {}
local function add_details(tier, start)
  if tier ~= 'hour' and tier ~= 'day' then return end
  keys[#keys + 1] = numbers_key(tier, start)
  keys[#keys + 1] = pages_key(tier, start)
  if tier == 'day' then places[#places + 1] = places_key(start) end
  sketches[#sketches + 1] = sketch_key(tier, start, args.page)
end

local function erase()
  each_run('EXISTS', keys)
  for _, bucket in ipairs(keys) do call('HDEL', bucket, args.page) end
  for _, place in ipairs(places) do
    local number = call('HGET', place, args.page)
    if number then call('HDEL', place, args.page, '#' .. number) end
  end
  each_run('UNLINK', sketches)
end

if #args.starts > 0 then
  for _, start in ipairs(args.starts) do
    add(args.tier, start)
    add_details(args.tier, start)
  end
  erase()
  return {}
end
local fresh = {} -- what is not folded yet of the page's traits
local first = state.newest - 2 * state.width
for t = first, state.newest do add('second', t) end
add('total', 0)
for _, minute in ipairs({ state.open, state.prev }) do
  add('minute', minute)
  for _, tier in ipairs({ 'hour', 'day', 'month' }) do
    add(tier, start_of(tier, minute))
    add_details(tier, start_of(tier, minute))
  end
end
for _, each in ipairs(state.fresh or {}) do
  local day = start_of('day', each[1])
  local number = call('HGET', places_key(day), args.page)
  call('HLEN', fresh_key(each[1]))
  if number then
    local _, fields = fresh_of(each[1], number, words_in(call('HGET', pages_key('day', day), args.page)))
    fresh[#fresh + 1] = { fresh_key(each[1]), fields }
  end
end
local sets = { unfolded_key(state.open), state.prev and unfolded_key(state.prev) }
call('EXISTS', window_key(), unpack(sets))
for _, each in ipairs(fresh) do in_runs('HDEL', each[1], each[2], RUN) end
erase()
for _, set in ipairs(sets) do call('SREM', set, args.page) end
call('ZREM', window_key(), args.page)
return { first, state.open, state.prev or -1, math.min(now, reach()), reach(), state.first, state.born }
