-- Minutes that have passed go into the hour, day, month and total, some pages a call. Whether a page has gone is known by the
-- minute's unfolded set, so each goes once.

local writes = {}
local DETAIL_TIERS = { 'hour', 'day', 'month' } -- what traits are kept by

local function added(to, name, views) to[name] = (to[name] or 0) + views end

local function lists(views)
  local names, numbers = {}, {}
  for name, n in pairs(views) do
    names[#names + 1], numbers[#numbers + 1] = name, n
  end
  return names, numbers
end

-- Read what stands in a bucket for some pages and remember what to write: that and `views` more. Gives back what stood there.
local function bump(to, pages, views, ttl)
  local old = asked('HMGET', to, pages)
  local sums, is_new = {}, true
  for i = 1, #pages do
    sums[2 * i - 1], sums[2 * i] = pages[i], text[(old[i] or 0) + views[i]]
    if old[i] then is_new = false end
  end
  if #pages > 0 then
    writes[#writes + 1] = { to, sums, ttl and is_new and call('EXISTS', to) == 0 and ttl }
  end
  return old
end

local function write()
  for _, change in ipairs(writes) do
    in_runs('HSET', change[1], change[2], 2 * RUN)
    if change[3] then call('EXPIRE', change[1], change[3]) end
  end
  writes = {}
end

-- Fold at most `most` pages of the minute before the open one.
local function fold(most)
  local minute = state.prev
  local from, set = bucket_key('minute', minute), unfolded_key(minute)
  local pages = call('SRANDMEMBER', set, most)
  if #pages > 0 then
    local views = asked('HMGET', from, pages)
    for i = 1, #pages do views[i] = views[i] or 0 end
    for _, tier in ipairs(COARSE) do
      local start = start_of(tier, minute)
      if start >= oldest_kept(tier) then bump(bucket_key(tier, start), pages, views, life(tier, start)) end
    end
    write()
    in_runs('SREM', set, pages, RUN)
  end
  if #pages < most then
    state.prev = nil
    call('EXPIRE', from, life('minute', minute))
    save()
  end
end

-- Open a minute in which loaded views stand already, which other tiers have or don't have on their own: they are taken off those
-- that the minute will be folded into. So each tier goes on from what it has.
local function take_off(minute, pages, views)
  local less = {}
  for i = 1, #pages do less[i] = -views[i] end
  for _, tier in ipairs(COARSE) do
    local start = start_of(tier, minute)
    if start >= oldest_kept(tier) then bump(bucket_key(tier, start), pages, less, life(tier, start)) end
  end
end

local function open_loaded(minute)
  local entries, pages, views = call('HGETALL', bucket_key('minute', minute)), {}, {}
  for i = 1, #entries, 2 do
    pages[#pages + 1], views[#views + 1] = entries[i], tonumber(entries[i + 1])
  end
  call('SCARD', unfolded_key(minute))
  take_off(minute, pages, views)
  write()
  in_runs('SADD', unfolded_key(minute), pages, RUN)
  call('PERSIST', bucket_key('minute', minute))
  state.mixed = minute
  save()
end
