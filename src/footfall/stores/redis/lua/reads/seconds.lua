-- The entries of a site's seconds, from part args.behind of second args.first to second args.last, some 2,000 a call:
-- [next second, next part, [page, views, …]]; a page may be there several times. Changes nothing.
local t, part, flat = args.first, args.behind, {}
if not state or state.born ~= args.born then return { args.last + 1, 0, flat } end
local last = math.min(args.last, state.newest)
t = math.max(t, oldest_kept('second'))
local looked = 0
while t <= last and #flat < 2 * args.part and looked < args.moved do
  local more = 0
  local entries = call('HGETALL', second_key(t, part))
  for i = 1, #entries, 2 do
    if entries[i] == MORE then
      more = tonumber(entries[i + 1])
    elseif entries[i] ~= WHOLE then
      flat[#flat + 1] = entries[i]
      flat[#flat + 1] = tonumber(entries[i + 1])
    end
  end
  if part > 0 then more = tonumber(call('HGET', second_key(t, 0), MORE) or 0) end
  looked = looked + 1
  if part < more then part = part + 1 else t, part = t + 1, 0 end
end
if t > last then t, part = args.last + 1, 0 end
return { t, part, flat }
