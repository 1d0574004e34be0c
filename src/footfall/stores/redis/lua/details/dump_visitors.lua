-- Rows [start, page, visitors] of args.tier. Every page that has a sketch has a number beside it, if only 0. See dump.lua.
return each_bucket(oldest_visitors(args.tier), function(start, place)
  local found = call('HSCAN', numbers_key(args.tier, start), place == '' and '0' or place, 'COUNT', 100)
  local has_sketches = is_sketched(args.tier, start)
  for i = 1, #found[2], 2 do
    local page, visitors = found[2][i], tonumber(found[2][i + 1])
    if has_sketches then
      visitors = visitors + call('PFCOUNT', sketch_key(args.tier, start, page))
      work = work - 3
    end
    if visitors > 0 then row(start, page, visitors) end
  end
  return found[1] ~= '0' and found[1] or nil
end)
