-- Forget a site at once: its state goes, and with it the way to all its other keys. Those that have no expiry go here as well.
-- What is left is noted, so that it is erased also if whoever forgets is cut short: gives back [[born, its newest bucket, the
-- oldest second, minute, hour and day that may be there, its dimensions], …], one for each time that the site was forgotten and
-- not erased yet.
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
  for _, each in ipairs(state.fresh or {}) do keys[#keys + 1] = fresh_key(each[1]) end
  local slot = floor(now / math.max(args.ttl, 1))
  for i = -1, 1 do keys[#keys + 1] = ids_key(slot + i) end
  local month, first = start_of('month', reach()), start_of('month', state.first)
  while month >= first do
    keys[#keys + 1] = bucket_key('month', month)
    for _, dimension in ipairs(state.dims or {}) do keys[#keys + 1] = trait_key('month', month, dimension) end
    month = start_of('month', month - 1)
  end
  each_run('EXISTS', keys)
  local oldest, longest = {}, 0
  for i, tier in ipairs(KEPT) do
    local kept = math.max(use_of(tier), state.keep and state.keep[i] or 0, state.longest and state.longest[i] or 0) + SLACK
    oldest[i] = start_of(tier, math.max(state.first, math.min(now, reach()) - kept))
    longest = math.max(longest, kept)
  end
  call('HSET', note, state.born, cmsgpack.pack({ reach(), oldest, state.dims or {} }))
  call('EXPIRE', note, longest + SLACK)
  each_run('UNLINK', keys)
end

local left = {}
local notes = call('HGETALL', note)
for i = 1, #notes, 2 do
  left[#left + 1] = { notes[i], unpack(cmsgpack.unpack(notes[i + 1])) }
end
return left
