-- Before a tier is dumped: give all pages of the minutes that are not folded yet a field in the buckets of args.tier that these
-- will be folded into, 0 where they have none, so that whoever goes through such a bucket meets each page once, folded or not.
-- Some 2,000 pages a call, args.minute and args.cursor telling where to go on, -1 and "0" at the first. Gives back [minute,
-- cursor], or [-1, "0"] at the end.
if not state then return { -1, '0' } end
local minute = args.minute
if minute < 0 then minute = state.prev or state.open end
if minute ~= state.prev and minute ~= state.open then return { -1, '0' } end
local start = start_of(args.tier, minute)
local cursor = '0'
if start >= oldest_kept(args.tier) then
  local found = call('SSCAN', unfolded_key(minute), args.cursor, 'COUNT', 2000)
  local to, missing = bucket_key(args.tier, start), {}
  local there = asked('HMGET', to, found[2])
  for i, page in ipairs(found[2]) do
    if not there[i] then
      missing[#missing + 1] = page
      missing[#missing + 1] = '0'
    end
  end
  local is_new = call('EXISTS', to) == 0
  in_runs('HSET', to, missing, 2 * RUN)
  if is_new and #missing > 0 and life(args.tier, start) then call('EXPIRE', to, life(args.tier, start)) end
  cursor = found[1]
end
if cursor ~= '0' then return { minute, cursor } end
if minute == state.open then return { -1, '0' } end
return { state.open, '0' }
