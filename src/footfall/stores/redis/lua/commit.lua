-- Apply one site's batch, once a writer and sequence, and say when, with what result and with which counts.
--
-- args: writer, sequence, lasting; pages [[page, views], …]; timed [[[page, second], views], …]; ids [id, …] with id_pages and
-- id_times (nil where the view has no time of its own); wanted [page, …]; width of the counts; window, the width kept as a
-- running sum; ttl of event ids and the most of them; known_only [page, …] and most_new_pages; visitors [[page, second or nil,
-- [visitor, …]], …] of pages and timed, and visits [[id, visitor], …] of ids; outcomes {outcome: views}. Traits are rows of views
-- that have the same: row_pages, row_times (or nil) and row_views, and behind them one row for each id in row_ids; columns, for
-- each of the dimensions, the names of these, [[value, …], [place among them, for each row]]. values, pages_a_day and
-- page_values: the limits; outcome, other, duplicate and too_many, the names of these; listed: whether the site stands in the
-- list of sites; sketches: how many sketches are folded at once; rehearsed: whether nothing is to be counted, only tried.
--
-- Gives back [0, second, seconds the clock is behind, places of the duplicates in ids, refused pages, opened pages, counts], [1,
-- seconds] where the script is to be called again before it counts, because old seconds or minutes are in the way, [2, …] where
-- the counts are to be read apart, or [3] where the site is to be listed first.

local DONE, AGAIN, UNCOUNTED, UNLISTED = 0, 1, 2, 3

local function receipt(at, alarm, duplicates, refused, opened)
  local status, counts = DONE, {}
  if #args.wanted > 0 and (state.width ~= args.width or state.high) then
    status = UNCOUNTED
  else
    counts = counts_of(args.wanted, args.width, now)
  end
  return { status, at, alarm, duplicates, refused, opened, counts }
end

if not state and not args.listed then return { UNLISTED } end
local sequence = text[args.sequence]
local writer = state and writer_of(args.writer)
if writer and args.sequence <= writer.sequence then
  -- Nothing changes. The record is written as it stands, so that whoever waits for replicas waits for something.
  call('HSET', writers_key(), args.writer, writer.record)
  local own = writer.number .. ':' .. sequence .. ':'
  local refused = args.sequence == writer.sequence and refused_before(writer.refused) or {}
  return receipt(writer.at, 0, duplicates_of(remembered(args.ids), args.ids, own), refused, {})
end

-- What may take several calls comes first: old seconds leave the running sum, and no more than two minutes are ever unfolded.
local minute, alarm, is_new_minute = start_of('minute', now), 0, true
if state then
  local is_there
  is_there, alarm = slide()
  if not is_there then return { AGAIN, alarm } end
  is_new_minute = state.open ~= minute
  if state.prev then
    fold(is_new_minute and args.moved or args.folded)
    if is_new_minute and state.prev then return { AGAIN, alarm } end
  end
  fold_sketches(args.sketches)
  sweep(args.moved)
  if not fold_traits(4 * args.folded) then return { AGAIN, alarm } end
  if is_new_minute then
    state.prev, state.open = state.open, minute
    if call('HLEN', bucket_key('minute', minute)) > 0 then open_loaded(minute) end
  end
else
  state = new_site(now)
end
if now > state.newest then state.more, state.fill = 0, 0 end
state.newest = now
state.first = math.min(state.first, now) -- what was loaded may lie ahead
if args.window == state.width then state.used = now end
if args.lasting then state.lasting = true end
local number = writer and writer.number
if not number then
  state.writers = state.writers + 1
  number = text[state.writers]
end

-- What is counted in this second, and what goes into older buckets.

local late = {} -- "tier start": a bucket before the current second, and what it gets
local function late_bucket(tier, start)
  local name = tier .. start
  late[name] = late[name] or { tier = tier, start = start, views = {} }
  return late[name].views
end

local function put_late(tier, start, page, views)
  local bucket = late_bucket(tier, start)
  added(bucket, page, views)
  added(bucket, WHOLE, views)
end

local this_second = {} -- views by page
local function put(page, at, views)
  if at >= now then return added(this_second, page, views) end
  state.first = math.min(state.first, at)
  if at >= oldest_kept('second') then put_late('second', at, page, views) end
  local of = start_of('minute', at)
  local is_unfolded = of == state.open or of == state.prev
  if is_unfolded or of >= oldest_kept('minute') then put_late('minute', of, page, views) end
  for _, tier in ipairs(is_unfolded and {} or COARSE) do
    local start = start_of(tier, at)
    if start >= oldest_kept(tier) then put_late(tier, start, page, views) end
  end
end

-- The second that a view with this time, if any, counts in.
local function second_of(at) return at and math.max(0, math.min(at, now)) or now end

local found, fresh, timed_pages = remembered(args.ids), {}, {}
for i = 1, #args.ids do
  if not found[i] then
    fresh[#fresh + 1] = i
    if args.id_times[i] then timed_pages[args.id_pages[i]] = true end
  end
end
for _, entry in ipairs(args.timed) do timed_pages[entry[1][1]] = true end
local opened, refused, marks = opened_of(untimed_of(fresh), timed_pages)

local refused_views, counted, fresh_ids = 0, {}, {}
for _, entry in ipairs(args.pages) do
  local page, views = entry[1], entry[2]
  if refused[page] then refused_views = refused_views + views else added(this_second, page, views) end
end
for _, entry in ipairs(args.timed) do put(entry[1][1], second_of(entry[1][2]), entry[2]) end
for _, i in ipairs(fresh) do
  local page, at = args.id_pages[i], args.id_times[i]
  if not at and refused[page] then
    refused_views = refused_views + 1
  else
    counted[args.ids[i]] = i
    fresh_ids[#fresh_ids + 1] = args.ids[i]
    put(page, second_of(at), 1)
  end
end

local seen = {} -- visitors: page, second, who
local row_times = args.row_times
for row, page in ipairs(args.row_pages) do
  local at = row_times[row]
  if at or not refused[page] then take_row(row, page, second_of(at), args.row_views[row]) end
end
for j, id in ipairs(args.row_ids) do
  local i = counted[id]
  if i then take_row(#args.row_pages + j, args.id_pages[i], second_of(args.id_times[i]), 1) end
end
for _, entry in ipairs(args.visitors) do
  local page, at = entry[1], entry[2]
  if at or not refused[page] then seen[#seen + 1] = { page, second_of(at), entry[3] } end
end
for _, entry in ipairs(args.visits) do
  local i = counted[entry[1]]
  if i then seen[#seen + 1] = { args.id_pages[i], second_of(args.id_times[i]), { entry[2] } } end
end
for _, entry in ipairs(seen) do ask_for_place(day_of(start_of('day', entry[2])), entry[1]) end
for name, views in pairs(args.outcomes) do take_outcome(name, views) end
take_outcome(args.too_many, refused_views)

local pages, views = lists(this_second)
if #pages > 0 then
  local total = 0
  for i = 1, #views do total = total + views[i] end
  pages[#pages + 1], views[#views + 1] = WHOLE, total
end

-- From here to "Writing" everything that will be written is read, and nothing is changed.

local unfolded, parts = {}, {}

-- Into the minute, and into the set of its pages that are not folded yet.
local function put_minute(of, names, numbers)
  local old, set, new = bump(bucket_key('minute', of), names, numbers), unfolded_key(of), {}
  for i = 1, #names do
    if not old[i] then new[#new + 1] = names[i] end
  end
  if #new > 0 then
    call('SCARD', set)
    unfolded[#unfolded + 1] = { set, new }
  end
end

-- Into the last part of a second, or into a new one where that would grow too large. `more` and `fill` say which and how full.
local function put_second(t, names, numbers, more, fill)
  local base = second_key(t, 0)
  if fill > 0 and fill + #names > args.part then
    more, fill = more + 1, 0
    call('HLEN', base)
    parts[#parts + 1] = { base, more }
  end
  local old = bump(second_key(t, more), names, numbers, life('second', t))
  for i = 1, #names do
    if not old[i] then fill = fill + 1 end
  end
  return more, fill
end

-- What goes into the minute before the open one: of pages that have been folded, on into the coarser tiers.
local function put_prev(names, numbers)
  local old = asked('HMGET', bucket_key('minute', state.prev), names)
  local is_unfolded = asked('SMISMEMBER', unfolded_key(state.prev), names)
  for _, tier in ipairs(COARSE) do
    local start = start_of(tier, state.prev)
    for i = 1, #names do
      if old[i] and is_unfolded[i] == 0 and start >= oldest_kept(tier) then
        added(late_bucket(tier, start), names[i], numbers[i])
      end
    end
  end
  put_minute(state.prev, names, numbers)
end

local function take_late(tier, start)
  local bucket = start and late[tier .. start]
  if bucket then late[tier .. start] = nil end
  return bucket and bucket.views
end

local joined = {} -- what the running sum gets
local start = now - state.width + 1
local this_minute, last_minute = take_late('minute', state.open), take_late('minute', state.prev)
if last_minute then put_prev(lists(last_minute)) end
for _, bucket in pairs(late) do
  local names, numbers = lists(bucket.views)
  if bucket.tier == 'second' then
    local more = tonumber(call('HGET', second_key(bucket.start, 0), MORE) or 0)
    put_second(bucket.start, names, numbers, more, call('HLEN', second_key(bucket.start, more)))
    for i = 1, bucket.start >= start and #names or 0 do added(joined, names[i], numbers[i]) end
  else
    bump(bucket_key(bucket.tier, bucket.start), names, numbers, life(bucket.tier, bucket.start))
  end
end
if #pages > 0 then state.more, state.fill = put_second(now, pages, views, state.more, state.fill) end
local window_pages, window_views = pages, views
if next(joined) then
  for i = 1, #pages do added(joined, pages[i], views[i]) end
  window_pages, window_views = lists(joined)
end
local higher, gone = shifted(window_pages, window_views)
if this_minute then
  for i = 1, #pages do added(this_minute, pages[i], views[i]) end
  put_minute(minute, lists(this_minute))
elseif #pages > 0 then
  put_minute(minute, pages, views)
end

local duplicates = duplicates_of(found, args.ids, number .. ':' .. sequence .. ':')
take_outcome(args.duplicate, #duplicates)
bump_traits()
for _, entry in ipairs(seen) do take_visitors(entry[1], entry[2], entry[3]) end
read_sketches()
local remember = to_remember(fresh_ids, number .. ':' .. sequence .. ':')

-- Writers that have been silent for too long are found by chance, a few a minute: there are few.
local silent = {}
if is_new_minute then
  local some = call('HRANDFIELD', writers_key(), 50, 'WITHVALUES')
  for i = 1, #some, 2 do
    local at, lasting = some[i + 1]:match('^%d+:(%d+):(%d):')
    if lasting == '0' and tonumber(at) <= now - WRITER_MEMORY then silent[#silent + 1] = some[i] end
  end
end

if args.rehearsed then return { DONE, now, alarm, {}, {}, {}, {} } end

-- Writing.

write()
for _, part in ipairs(parts) do call('HSET', part[1], MORE, part[2]) end
for _, set in ipairs(unfolded) do in_runs('SADD', set[1], set[2], RUN) end
shift(higher, gone)
write_sketches()
remember()
in_runs('HDEL', writers_key(), silent, RUN)
local record = sequence .. ':' .. now .. ':' .. (args.lasting and 1 or 0) .. ':' .. number .. ':' .. marks
call('HSET', writers_key(), args.writer, record)
if state.lasting then
  if args.lasting then call('PERSIST', writers_key()) end
elseif is_new_minute then
  call('EXPIRE', writers_key(), WRITER_MEMORY + 3600)
end
save()
local refused_pages = {}
for page in pairs(refused) do refused_pages[#refused_pages + 1] = page end
return receipt(now, alarm, duplicates, refused_pages, args.most_new_pages > 0 and opened or {})
