-- Forget a site at once: its state goes, and with it the way to all its other keys. Those that have no expiry go here as well.
-- What is left is noted, so that it is erased also if whoever forgets is cut short: gives back [[born, the oldest of its now and
-- its newest bucket, its newest bucket, seconds a second may have been kept, its dimensions], …], one for each time that the site
-- was forgotten and not erased yet.
local note = SITE .. ':forgotten'
call('HLEN', note)
if state then
  local keys = {
    SITE, bucket_key('total', 0), window_key(), writers_key(), ids_line_key(), bucket_key('minute', state.open),
    unfolded_key(state.open),
  }
  if state.prev then
    keys[#keys + 1] = bucket_key('minute', state.prev)
    keys[#keys + 1] = unfolded_key(state.prev)
  end
  local slot = floor(now / math.max(args.ttl, 1))
  for i = -1, 1 do keys[#keys + 1] = ids_key(slot + i) end
  local month, first = start_of('month', reach()), start_of('month', state.first)
  while month >= first do
    keys[#keys + 1] = bucket_key('month', month)
    for _, dimension in ipairs(state.dims or {}) do keys[#keys + 1] = trait_key('month', month, dimension) end
    month = start_of('month', month - 1)
  end
  each_run('EXISTS', keys)
  local second_kept, longest = math.max(args.keep.second, 2 * state.width) + SLACK, 0
  for _, keep in pairs(args.keep) do longest = math.max(longest, keep) end
  call('HSET', note, state.born, cmsgpack.pack({ math.min(now, reach()), reach(), second_kept, state.dims or {} }))
  call('EXPIRE', note, longest + SLACK)
  each_run('UNLINK', keys)
end

local left = {}
local notes = call('HGETALL', note)
for i = 1, #notes, 2 do
  left[#left + 1] = { notes[i], unpack(cmsgpack.unpack(notes[i + 1])) }
end
return left
