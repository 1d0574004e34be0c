-- Rows [start, page, views] of args.tier. See dump.lua.

-- A second's parts: a page may stand in several, and is told at the first with what all have.
local function read_second(t, place)
  local part = tonumber(place) or 0
  local last = tonumber(call('HGET', second_key(t, 0), MORE) or 0)
  local pages, is_told, sums = call('HKEYS', second_key(t, part)), {}, {}
  for i = 0, part - 1 do
    local found = asked('HMGET', second_key(t, i), pages)
    for j = 1, #pages do is_told[j] = is_told[j] or found[j] end
  end
  for j = 1, #pages do
    sums[j] = 0
    if pages[j] == MORE then is_told[j] = true end
  end
  add_seconds(sums, pages, 1, t, 0, t)
  for j = 1, #pages do
    if not is_told[j] then row(t, pages[j], sums[j]) end
  end
  return part < last and text[part + 1] or nil
end

-- A bucket's own key. Where the open minutes have more, all their pages have been put there before; see settle.lua.
local function read_bucket(start, place)
  local found = call('HSCAN', bucket_key(args.tier, start), place == '' and '0' or place, 'COUNT', 500)
  local pages, sums = {}, {}
  for i = 1, #found[2], 2 do
    pages[#pages + 1], sums[#sums + 1] = found[2][i], tonumber(found[2][i + 1])
  end
  if args.tier ~= 'minute' then add_unfolded(sums, pages, args.tier, start) end
  for i = 1, #pages do
    if sums[i] ~= 0 then row(start, pages[i], sums[i]) end
  end
  return found[1] ~= '0' and found[1] or nil
end

return each_bucket(oldest_kept(args.tier), args.tier == 'second' and read_second or read_bucket)
