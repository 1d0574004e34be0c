-- The visitors of a page or the site (WHOLE) in hours or days: [now, [number, …]] for those that begin at args.starts. A bucket's
-- are in a number, in a sketch until that is folded, or in both where some were loaded. Changes nothing.
local numbers = {}
for i, start in ipairs(args.starts) do
  numbers[i] = 0
  if state and start >= oldest_visitors(args.tier) then
    numbers[i] = tonumber(call('HGET', numbers_key(args.tier, start), args.page) or 0)
    if is_sketched(args.tier, start) then
      numbers[i] = numbers[i] + call('PFCOUNT', sketch_key(args.tier, start, args.page))
    end
  end
end
return { now, numbers }
