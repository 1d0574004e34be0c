-- Dumping a site, some args.most rows a call. args: born, "" at the first call; tier; start and place, where to go on, 0 and ""
-- at the first call. Gives back [now, born, next start or -1 where these were the last rows, next place, rows].

local rows, work = {}, 1000 -- work: what may still be looked at

local function row(...)
  rows[#rows + 1] = { ... }
end

local function is_enough() return #rows >= args.most or work <= 0 end

local function is_over() return not state or args.born ~= '' and args.born ~= state.born end

-- Go from bucket to bucket. `read(start, place)` adds rows of one, from a place on, and gives back where to go on in it, or nil.
local function each_bucket(oldest, read)
  if is_over() then return { now, '', -1, '', rows } end
  local start = math.max(args.start, start_of(args.tier, math.max(oldest, state.first)))
  if args.tier == 'total' then start = 0 end
  local place, last = args.start == start and args.place or '', start_of(args.tier, reach())
  while start <= last do
    if start >= oldest then place = read(start, place) else place = nil end
    work = work - 1
    if not place then
      if args.tier == 'total' then break end
      place, start = '', args.tier == 'month' and start_of('month', start + 32 * 86400) or start + WIDTH[args.tier]
    end
    if start <= last and is_enough() then return { now, state.born, start, place, rows } end
  end
  return { now, state.born, -1, '', rows }
end
