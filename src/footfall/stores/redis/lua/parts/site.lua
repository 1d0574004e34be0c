-- What all scripts share: a site's keys (the one place where they are named), its state, its time, and the sums that are read.
--
-- KEYS[1] is the site's own key; all its other keys are made from it here and lie in the same slot, for the {site} in their
-- names. ARGV[1] is a MessagePack map, `args`. Numbers are integers below 2^53, which Lua's numbers hold exactly. In every
-- script's args: keep {tier: seconds}, and how much a call does at once: `part`, the entries in one part of a second; `moved`,
-- those that go into the running sum or out of it; `folded`, the pages of a passed minute that a commit folds, or a quarter of
-- the values of pages of a passed hour.
--
-- Lua is not undone when it fails. So each step of a script first reads, and so touches, every key it will write: a wrong type
-- or a key that has gone to another cluster node ends it there. Only then it writes, and all it writes is one consistent change.

local call, floor = redis.call, math.floor
local SITE, args = KEYS[1], cmsgpack.unpack(ARGV[1])

-- The whole site's line stands in every bucket beside its pages. A page begins with "/", so that no page has these names.
local WHOLE, MORE = '', '\1'
local FORMAT = 1
local RUN = 2500 -- values unpacked into one command; Lua's limit is some 8,000
local SLACK = 60 -- seconds a bucket outlives its retention: whether it still counts is always reckoned, never left to the expiry
local WRITER_MEMORY = 604800

-- What `stores/base.py` says of visitors, in seconds, and of those who are here now, in minutes.
local VISITOR_GRACE, VISITOR_HOURS, PRESENCE_MINUTES = 3600, 691200, 5

-- The site's state, in the site's own key:
--   v        FORMAT
--   born     when the site was made: part of its keys' names, so that a site which begins anew never meets old keys
--   first    the oldest second that was counted
--   newest   the newest second that was counted; `more` and `fill` are the number of its further parts, and the entries of the last
--   open     the minute that views are counted in; it and `prev`, the one before, are not in the coarser tiers yet, but for
--            those pages of `prev` that are no longer in its unfolded set
--   width    of the running sum; `used` is the last second in which a commit asked for that width
--   low      the running sum holds the parts from (low, part) on to the newest or, while it is built up, to before (high, hpart)
--   ids      how many event ids are remembered; writers: how many had one of the numbers that ids refer to
--   lasting  whether a writer is remembered for ever; behind: whether the clock was found far behind and the sum built anew
--   reach    the newest bucket that was loaded from a dump, where it may lie behind `newest`; mixed: the newest minute that holds
--            loaded views, which are not folded, beside counted ones
--   opened   how many pages untimed views have opened in the day opened_day
--   dims     the names of all dimensions that were ever counted. Pages' traits name a dimension by its place here
--   fresh    [hour, number, second, …] of the hours in which pages' traits are not folded yet, but for those of pages up to a
--            number, and when it was last added to
--   keep     how long seconds, minutes, hours and days were kept when the site was last counted; where that has changed, `sweep` is
--            [tier, start] to go on from with what lies there already, and `longest` has for each tier how long it may live
--   sketched [tier, start, cursor] of the hours and days whose visitors are in sketches, oldest first; from the cursor on they are
--            not folded into numbers yet
local raw, is_ours, state = call('GET', SITE), true, nil
if raw then is_ours, state = pcall(cmsgpack.unpack, raw) end
if raw and not (is_ours and type(state) == 'table' and tonumber(state.v)) then
  return redis.error_reply('FOOTFALLFOREIGN ' .. SITE)
elseif state and state.v ~= FORMAT then
  return redis.error_reply('FOOTFALLFORMAT ' .. state.v)
end

-- A site's time never runs backward.
local time = clock()
local now = state and state.newest > time and state.newest or time

-- Keys

local function key(kind) return SITE .. ':' .. state.born .. ':' .. kind end
local function second_key(t, part) return key('s:' .. t .. (part > 0 and ':' .. part or '')) end
local function window_key() return key('w:' .. state.width) end -- sorted set: page by minus its views
local function unfolded_key(minute) return key('u:' .. minute) end -- set: pages of a minute that is not in the coarser tiers
local function ids_key(slot) return key('e:' .. args.ttl .. ':' .. slot) end -- hash: event id to writer number:sequence:until
local function ids_line_key() return key('el') end -- list: how many ids have their time until when, oldest first
local function writers_key() return key('writers') end -- hash: writer to sequence:second:lasting:number:refused pages' marks

local LETTER = { second = 's', minute = 'm', hour = 'h', day = 'd', month = 'mo' }
local function bucket_key(tier, start) return key(tier == 'total' and 't' or LETTER[tier] .. ':' .. start) end

-- Traits of the whole site, by dimension: hash of value to views. Those of pages: see pages.lua.
local function trait_key(tier, start, dimension) return key('x' .. LETTER[tier] .. ':' .. start .. ':' .. dimension) end
local function pages_key(tier, start) return key('p' .. LETTER[tier] .. ':' .. start) end -- hash: page to its text
local function places_key(day) return key('i:' .. day) end -- hash: page to its number, "#number" to page, "#" to the last number
local function fresh_key(hour) return key('f:' .. hour) end -- hash: number, letter of a dimension and value, to views
-- Visitors: a HyperLogLog of a page's, or WHOLE's, and hash of page to their number, 0 while they are in a sketch alone.
local function sketch_key(tier, start, page) return key('v' .. LETTER[tier] .. ':' .. start .. ':' .. page) end
local function numbers_key(tier, start) return key('n' .. LETTER[tier] .. ':' .. start) end

-- Buckets

local WIDTH = { second = 1, minute = 60, hour = 3600, day = 86400 }
local COARSE = { 'hour', 'day', 'month', 'total' } -- what minutes are folded into
local KEPT = { 'second', 'minute', 'hour', 'day' } -- what has a retention

-- The first second of the bucket that t lies in. The day of the month is reckoned after Howard Hinnant's civil_from_days
-- (http://howardhinnant.github.io/date_algorithms.html).
local function start_of(tier, t)
  if WIDTH[tier] then return t - t % WIDTH[tier] end
  if tier == 'total' then return 0 end
  local days = floor(t / 86400)
  local of_era = (days + 719468) % 146097
  local year = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
  return (days - of_year + floor((153 * floor((5 * of_year + 2) / 153) + 2) / 5)) * 86400
end

-- The least bucket start of a tier that is still kept.
local function oldest_kept(tier)
  local keep = args.keep[tier]
  return keep and now - keep + 1 or 0
end

-- How long a tier's keys are of use, in seconds; nil: for ever. A second must outlast its time in the running sum, also when the
-- site then rests for a while.
local function use_of(tier)
  local keep = args.keep[tier]
  return keep and tier == 'second' and math.max(keep, 2 * state.width) or keep
end

-- Seconds from now on that a bucket's key shall live, by this server's clock; nil: for ever.
local function life(tier, start)
  local keep = use_of(tier)
  return keep and math.max(1, start + keep - time + SLACK)
end

-- The newest second or bucket start that anything may stand under.
local function reach() return math.max(state.newest, state.reach or 0) end

-- The least start of an hour or day whose visitors are known, and how long their keys live.
local function oldest_visitors(tier)
  return math.max(oldest_kept(tier), tier == 'hour' and now - VISITOR_HOURS + 1 or 0)
end

local function visitor_life(tier, start)
  local keep = tier == 'hour' and math.min(args.keep.hour, VISITOR_HOURS) or args.keep[tier]
  return math.max(1, start + keep - time + SLACK)
end

-- Commands with many values

-- Numbers as text. Left to itself Redis writes each number with printf as a fraction; most are small and come often. (%d is the
-- quicker, and holds 31 bits everywhere.)
local text = setmetatable({}, {
  __index = function(known, number)
    local written = string.format(number < 2147483648 and number > -2147483648 and '%d' or '%.0f', number)
    known[number] = written
    return written
  end,
})

local function in_runs(command, key, values, run)
  for first = 1, #values, run do
    call(command, key, unpack(values, first, math.min(first + run - 1, #values)))
  end
end

local function each_run(command, keys)
  for first = 1, #keys, RUN do
    call(command, unpack(keys, first, math.min(first + RUN - 1, #keys)))
  end
end

local function asked(command, key, names)
  if #names > 0 and #names <= RUN then return call(command, key, unpack(names)) end
  local found = {}
  for first = 1, #names, RUN do
    local some = call(command, key, unpack(names, first, math.min(first + RUN - 1, #names)))
    for i = 1, #some do found[first + i - 1] = some[i] end
  end
  return found
end

-- Sums

-- Add `sign` times what the pages have in the seconds first..last to `sums`; of the first, parts before `part` are left out.
local function add_seconds(sums, pages, sign, first, part, last)
  local names = { unpack(pages) }
  names[#names + 1] = MORE
  for t = first, math.min(last, state.newest) do
    local base = asked('HMGET', second_key(t, 0), names)
    local from = t == first and part or 0
    for i = from, tonumber(base[#names] or 0) do
      local found = i == 0 and base or asked('HMGET', second_key(t, i), pages)
      for j = 1, #pages do
        if found[j] then sums[j] = sums[j] + sign * found[j] end
      end
    end
  end
end

-- The views of pages in the `width` seconds that end with `at`. The running sum is read where it has that width and is whole;
-- seconds that should have left it since the last commit are taken off, and those it lost to a clock that was ahead are put on.
local function in_window(pages, width, at)
  local sums, start = {}, at - width + 1
  for i = 1, #pages do sums[i] = 0 end
  if state.newest < start then return sums end
  if state.width ~= width or state.high or at ~= now then
    add_seconds(sums, pages, 1, start, 0, at)
    return sums
  end
  local scores = asked('ZMSCORE', window_key(), pages)
  for i = 1, #pages do sums[i] = scores[i] and -scores[i] or 0 end
  add_seconds(sums, pages, -1, state.low, state.part, start - 1)
  add_seconds(sums, pages, 1, start, 0, state.low - 1)
  return sums
end

-- Add to `sums` what the open minutes hold of a tier's bucket and its own key does not yet.
local function add_unfolded(sums, pages, tier, start)
  local prev = state.prev
  if start_of(tier, state.open) == start then
    local found = asked('HMGET', bucket_key('minute', state.open), pages)
    for i = 1, #pages do
      if found[i] then sums[i] = sums[i] + found[i] end
    end
  end
  if prev and start_of(tier, prev) == start then
    local found = asked('HMGET', bucket_key('minute', prev), pages)
    local is_unfolded = asked('SMISMEMBER', unfolded_key(prev), pages)
    for i = 1, #pages do
      if found[i] and is_unfolded[i] == 1 then sums[i] = sums[i] + found[i] end
    end
  end
end

-- The views of pages in one bucket of a tier coarser than seconds.
local function in_bucket(pages, tier, start)
  local sums = {}
  local found = asked('HMGET', bucket_key(tier, start), pages)
  for i = 1, #pages do sums[i] = tonumber(found[i] or 0) end
  if tier ~= 'minute' then add_unfolded(sums, pages, tier, start) end
  return sums
end

-- Views in the window, today and in total, page by page: three numbers each.
local function counts_of(pages, width, at)
  local flat = {}
  if #pages == 0 then return flat end
  local views = in_window(pages, width, at)
  local today = in_bucket(pages, 'day', start_of('day', now))
  local total = in_bucket(pages, 'total', 0)
  for i = 1, #pages do
    flat[3 * i - 2], flat[3 * i - 1], flat[3 * i] = views[i], today[i], total[i]
  end
  return flat
end

-- Details

-- The place of a dimension in state.dims; nil where nothing of it was ever counted.
local function place_of(dimension)
  for i, name in ipairs(state.dims or {}) do
    if name == dimension then return i end
  end
end

-- Whether visitors of an hour or day may still be in sketches.
local function is_sketched(tier, start)
  for _, bucket in ipairs(state.sketched or {}) do
    if bucket[1] == tier and bucket[2] == start then return true end
  end
  return false
end

-- Writers

-- What is remembered of a writer: its last sequence and its second; nil where it is unknown or has been silent for too long.
local function writer_of(name)
  local record = call('HGET', writers_key(), name)
  if not record then return nil end
  local sequence, at, lasting, number, refused = record:match('^(%d+):(%d+):(%d):(%d+):?(.*)$')
  if lasting == '0' and tonumber(at) <= now - WRITER_MEMORY then return nil end
  return { sequence = tonumber(sequence), at = tonumber(at), number = number, refused = refused, record = record }
end
