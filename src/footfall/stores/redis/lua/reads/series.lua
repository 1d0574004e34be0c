-- A page's views by bucket of a tier: [now, [start, views, …]]. The buckets are args.starts, or the args.buckets newest where
-- there are none. Changes nothing.
local starts = args.starts
if #starts == 0 then
  local start = start_of(args.tier, now)
  for i = args.buckets, 1, -1 do
    starts[i] = start
    start = start_of(args.tier, start - 1)
  end
end

local flat, pages = {}, { args.page }
for i = 1, #starts do
  local start, sums = starts[i], { 0 }
  if state and start >= oldest_kept(args.tier) and start <= reach() then
    if args.tier == 'second' then
      add_seconds(sums, pages, 1, start, 0, start)
    else
      sums = in_bucket(pages, args.tier, start)
    end
  end
  flat[2 * i - 1], flat[2 * i] = start, sums[1]
end
return { now, flat }
