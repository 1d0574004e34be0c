-- Apply one site's batch, once a writer and sequence, and say when, with what result and with which counts.
--
-- args: writer, sequence, lasting; pages {page: views}; timed [page, second, views, …]; ids [id, …] with id_pages and id_times (-1
-- where the view has no time of its own); wanted [page, …]; width of the counts; window, the width kept as a running sum; ttl of
-- event ids and the most of them.
--
-- Gives back [0, second, seconds the clock is behind, places of the duplicates in ids, counts], [1] where the script is to be
-- called again before it counts, because old seconds or minutes are in the way, or [2, …] where the counts are to be read apart.

local DONE, AGAIN, UNCOUNTED = 0, 1, 2

-- Event ids: where each was remembered, if it still is, as "writer number:sequence:".
local slot = floor(now / math.max(args.ttl, 1))

local function remembered(ids)
  local found = {}
  if not state or #ids == 0 then return found end
  for i = 0, 1 do
    local records = asked('HMGET', ids_key(slot + i), ids)
    for j = 1, #ids do
      if records[j] then
        local by, until_ = records[j]:match('^(%d+:%d+:)(%d+)$')
        if tonumber(until_) > now then found[j] = by end
      end
    end
  end
  return found
end

local function duplicates_of(found, ids, own)
  local places = {}
  for i = 1, #ids do
    if found[i] and found[i] ~= own then places[#places + 1] = i - 1 end
  end
  return places
end

local function receipt(at, alarm, duplicates)
  if state.width ~= args.width or state.high then
    if #args.wanted > 0 then return { UNCOUNTED, at, alarm, duplicates } end
  end
  return { DONE, at, alarm, duplicates, counts_of(args.wanted, args.width, now) }
end

local sequence = text[args.sequence]
local writer = state and writer_of(args.writer)
if writer and args.sequence <= writer.sequence then
  -- Nothing changes. The record is written as it stands, so that whoever waits for replicas waits for something.
  call('HSET', writers_key(), args.writer, writer.record)
  local own = writer.number .. ':' .. sequence .. ':'
  return receipt(writer.at, 0, duplicates_of(remembered(args.ids), args.ids, own))
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
  if is_new_minute then state.prev, state.open = state.open, minute end
else
  local t = redis.call('TIME')
  state = {
    v = FORMAT, born = string.format('%x%05x', tonumber(t[1]), tonumber(t[2])), first = now, newest = now, more = 0, fill = 0,
    open = minute, width = args.window, used = now, low = now - args.window + 1, part = 0, ids = 0, writers = 0,
  }
end
if now > state.newest then state.more, state.fill = 0, 0 end
state.newest = now
if args.window == state.width then state.used = now end
if args.lasting then state.lasting = true end
local number = writer and writer.number
if not number then
  state.writers = state.writers + 1
  number = text[state.writers]
end

-- What is counted in this second, and what goes into older buckets.

local function added(to, page, views) to[page] = (to[page] or 0) + views end

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

local function put(page, at, views)
  if at < 0 or at >= now then return added(args.pages, page, views) end
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

local found, fresh = remembered(args.ids), {}
for i, id in ipairs(args.ids) do
  if not found[i] then
    fresh[#fresh + 1] = id
    put(args.id_pages[i], args.id_times[i], 1)
  end
end
for i = 1, #args.timed, 3 do put(args.timed[i], args.timed[i + 1], args.timed[i + 2]) end

local function lists(views)
  local pages, numbers = {}, {}
  for page, n in pairs(views) do
    pages[#pages + 1], numbers[#numbers + 1] = page, n
  end
  return pages, numbers
end

local pages, views = lists(args.pages)
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

-- The line of ids says how many had their time until when. Those whose time is over are taken off the number.
local until_ = now + args.ttl
local ended, tail, is_new_slot, room
if #fresh > 0 then
  ended = 0
  local line = call('LRANGE', ids_line_key(), 0, args.moved - 1)
  if #line == 0 then state.ids = 0 end
  for _, entry in ipairs(line) do
    local by, n = entry:match('^(%d+):(%d+)$')
    if tonumber(by) > now then break end
    ended, state.ids = ended + 1, state.ids - n
  end
  tail = call('LINDEX', ids_line_key(), -1)
  is_new_slot = call('EXISTS', ids_key(slot + 1)) == 0
  call('EXISTS', ids_key(slot - 1))
  room = math.max(0, math.min(#fresh, args.most_ids - state.ids))
  state.ids = state.ids + room
end

-- Writers that have been silent for too long are found by chance, a few a minute: there are few.
local silent = {}
if is_new_minute then
  local some = call('HRANDFIELD', writers_key(), 50, 'WITHVALUES')
  for i = 1, #some, 2 do
    local at, lasting = some[i + 1]:match('^%d+:(%d+):(%d):')
    if lasting == '0' and tonumber(at) <= now - WRITER_MEMORY then silent[#silent + 1] = some[i] end
  end
end

-- Writing.

write()
for _, part in ipairs(parts) do call('HSET', part[1], MORE, part[2]) end
for _, set in ipairs(unfolded) do in_runs('SADD', set[1], set[2], RUN) end
shift(higher, gone)
if #fresh > 0 then
  local by, records = number .. ':' .. sequence .. ':' .. until_, {}
  for i = 1, room do
    records[2 * i - 1], records[2 * i] = fresh[i], by
  end
  in_runs('HSET', ids_key(slot + 1), records, 2 * RUN)
  if ended > 0 then call('LTRIM', ids_line_key(), ended, -1) end
  local same, n = (tail or ''):match('^(%d+):(%d+)$')
  if same and tonumber(same) == until_ and until_ > now then
    call('LSET', ids_line_key(), -1, until_ .. ':' .. n + room)
  elseif room > 0 then
    call('RPUSH', ids_line_key(), until_ .. ':' .. room)
    call('EXPIRE', ids_line_key(), until_ - time + SLACK)
  end
  if is_new_slot and room > 0 then
    call('EXPIRE', ids_key(slot + 1), (slot + 2) * args.ttl - time + SLACK)
    call('UNLINK', ids_key(slot - 1))
  end
end
in_runs('HDEL', writers_key(), silent, RUN)
local record = sequence .. ':' .. now .. ':' .. (args.lasting and 1 or 0) .. ':' .. number
call('HSET', writers_key(), args.writer, record)
if state.lasting then
  if args.lasting then call('PERSIST', writers_key()) end
elseif is_new_minute then
  call('EXPIRE', writers_key(), WRITER_MEMORY + 3600)
end
save()
return receipt(now, alarm, duplicates_of(found, args.ids, number .. ':' .. sequence .. ':'))
