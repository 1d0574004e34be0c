-- What some pages have in the bucket args.start of args.tier: those that HSCAN finds from args.cursor on, in that bucket's own
-- key or in minute args.minute where that is not -1: [cursor, [page, views, …]]. Each page's number is exact at the moment of the
-- call. Changes nothing.
if not state or state.born ~= args.born or args.start < oldest_kept(args.tier) then return { '0', {} } end
local is_own = args.minute < 0
local from = is_own and bucket_key(args.tier, args.start) or bucket_key('minute', args.minute)
local found = call('HSCAN', from, args.cursor, 'COUNT', 1000)
local pages, sums, flat = {}, {}, {}
for i = 1, #found[2], 2 do
  if found[2][i] ~= WHOLE then
    pages[#pages + 1] = found[2][i]
    sums[#pages] = tonumber(found[2][i + 1])
  end
end
if #pages > 0 and not is_own then
  sums = in_bucket(pages, args.tier, args.start)
elseif #pages > 0 and args.tier ~= 'minute' then
  add_unfolded(sums, pages, args.tier, args.start)
end
for i = 1, #pages do
  flat[2 * i - 1], flat[2 * i] = pages[i], sums[i]
end
return { found[1], flat }
