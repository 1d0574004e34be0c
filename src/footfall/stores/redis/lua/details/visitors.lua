-- Visitors of a commit: taken, read, and left to be written with the rest; and the folding of sketches into numbers, once their
-- bucket takes no more visitors. A full sketch has 12 KB, a number some 70 bytes.

local targets, minutes = {}, {} -- by hour: the buckets that its visitors go to; by minute: who
local sketched = {} -- those buckets: tier, start, and who by page

local function bucket_for(tier, start)
  if start < oldest_visitors(tier) or start + WIDTH[tier] + VISITOR_GRACE <= now then return end
  local name = tier .. start
  sketched[name] = sketched[name] or { tier = tier, start = start, who = { [WHOLE] = {} } }
  return sketched[name]
end

local function add_all(to, who)
  local n = #to
  for i = 1, #who do to[n + i] = who[i] end
end

-- Visitors of a page at a second; traits have been resolved, so that it is known whether the page has a place in the day.
local function take_visitors(page, at, who)
  local hour, minute = at - at % 3600, at - at % 60
  local buckets = targets[hour]
  if not buckets then
    buckets = {}
    buckets[1] = bucket_for('hour', hour)
    buckets[#buckets + 1] = bucket_for('day', start_of('day', at))
    targets[hour] = buckets
  end
  local day = days[start_of('day', at)]
  local has_place = day and day.numbers[page]
  for i = 1, #buckets do
    local of = buckets[i].who
    add_all(of[WHOLE], who)
    if has_place then
      if of[page] then
        local all = {}
        add_all(all, of[page])
        add_all(all, who)
        of[page] = all
      else
        of[page] = who
      end
    end
  end
  if minute > start_of('minute', now) - 60 * PRESENCE_MINUTES then
    minutes[minute] = minutes[minute] or {}
    add_all(minutes[minute], who)
  end
end

-- Whether a key has no sketch yet. What is none of ours is found before anything is written.
local function has_no_sketch(from)
  local head = call('GETRANGE', from, 0, 3)
  if head ~= 'HYLL' and head ~= '' then error('WRONGTYPE ' .. from) end
  return head == ''
end

local function read_sketches()
  for minute in pairs(minutes) do has_no_sketch(sketch_key('minute', minute, WHOLE)) end
  for _, bucket in pairs(sketched) do
    local to, prefix = numbers_key(bucket.tier, bucket.start), sketch_key(bucket.tier, bucket.start, '')
    bucket.pages, bucket.begun, bucket.zeros, bucket.is_new = {}, {}, {}, call('HLEN', to) == 0
    for page in pairs(bucket.who) do
      local i = #bucket.pages + 1
      bucket.pages[i], bucket.begun[i] = page, has_no_sketch(prefix .. page)
    end
    local found = asked('HMGET', to, bucket.pages)
    for i, page in ipairs(bucket.pages) do
      if not found[i] then
        bucket.zeros[#bucket.zeros + 1] = page
        bucket.zeros[#bucket.zeros + 1] = '0'
      end
    end
    if not is_sketched(bucket.tier, bucket.start) then
      state.sketched = state.sketched or {}
      state.sketched[#state.sketched + 1] = { bucket.tier, bucket.start, '0' }
    end
  end
end

local function write_sketches()
  for minute, who in pairs(minutes) do
    local to = sketch_key('minute', minute, WHOLE)
    in_runs('PFADD', to, who, RUN)
    call('EXPIRE', to, math.max(1, minute + 60 * PRESENCE_MINUTES - time + SLACK))
  end
  for _, bucket in pairs(sketched) do
    local ttl, prefix = visitor_life(bucket.tier, bucket.start), sketch_key(bucket.tier, bucket.start, '')
    for i, page in ipairs(bucket.pages) do
      local who = bucket.who[page]
      if #who <= RUN then call('PFADD', prefix .. page, unpack(who)) else in_runs('PFADD', prefix .. page, who, RUN) end
      if bucket.begun[i] then call('EXPIRE', prefix .. page, ttl) end
    end
    local to = numbers_key(bucket.tier, bucket.start)
    in_runs('HSET', to, bucket.zeros, 2 * RUN)
    if bucket.is_new then call('EXPIRE', to, ttl) end
  end
end

-- Fold at most `most` sketches of the first bucket that takes no more visitors. A small hash is scanned whole whatever is asked
-- for; then those of its sketches that have been folded are met again, and are no more.
local function fold_sketches(most)
  for i, bucket in ipairs(state.sketched or {}) do
    local tier, start = bucket[1], bucket[2]
    if start + WIDTH[tier] + VISITOR_GRACE <= now then
      local from = numbers_key(tier, start)
      local found = call('HSCAN', from, bucket[3], 'COUNT', most)
      local sums, gone, is_through = {}, {}, true
      for j = 1, #found[2], 2 do
        local page, number = found[2][j], found[2][j + 1]
        local n = call('PFCOUNT', sketch_key(tier, start, page))
        if n > 0 then
          if #gone == most then
            is_through = false
            break
          end
          sums[#sums + 1], sums[#sums + 2] = page, text[number + n]
          gone[#gone + 1] = sketch_key(tier, start, page)
        end
      end
      in_runs('HSET', from, sums, 2 * RUN)
      each_run('UNLINK', gone)
      if is_through then bucket[3] = found[1] end
      if is_through and found[1] == '0' then table.remove(state.sketched, i) end
      if #state.sketched == 0 then state.sketched = nil end
      return save()
    end
  end
end
