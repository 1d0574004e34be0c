-- Forget a site at once: its state goes, and with it the way to all its other keys. Those without an expiry go here as well.
-- Gives back [born, newest, seconds a second may have been kept] for what is left to be erased; [] where there is no such site.
if not state then return {} end
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
local month, first = start_of('month', state.newest), start_of('month', state.first)
while month >= first do
  keys[#keys + 1] = bucket_key('month', month)
  month = start_of('month', month - 1)
end
each_run('EXISTS', keys)
each_run('UNLINK', keys)
return { state.born, state.newest, math.max(args.keep.second, 2 * state.width) + SLACK }
