-- Add args.rows to args.section and args.tier; their shapes are those of the dumps. window and other are as for a commit.

if not state then state = new_site(0) end

-- Rows by their first value, which is kept still, and under the sum of what the same names have.
local function by_start(oldest)
  local buckets = {}
  for _, row in ipairs(args.rows) do
    local start = row[1]
    if start >= oldest then
      buckets[start] = buckets[start] or {}
      added(buckets[start], row[2], row[3])
    end
  end
  return buckets
end

local function note(start)
  if args.tier == 'total' then return end
  state.first = math.min(state.first, start)
  if args.tier ~= 'second' then state.reach = math.max(state.reach or 0, start) end
end

local function load_seconds()
  for t, views in pairs(by_start(oldest_kept('second'))) do
    local base = second_key(t, 0)
    local more = tonumber(call('HGET', base, MORE) or 0)
    local fill = call('HLEN', second_key(t, more))
    for page, n in pairs(views) do
      if fill >= args.part then
        more, fill = more + 1, 0
        call('HSET', base, MORE, more)
      end
      call('HINCRBY', second_key(t, more), page, text[n])
      fill = fill + 1
      if fill == 1 then call('EXPIRE', second_key(t, more), life('second', t)) end
    end
    note(t)
    state.newest = math.max(state.newest, t)
  end
  state.more = tonumber(call('HGET', second_key(state.newest, 0), MORE) or 0)
  state.fill = call('HLEN', second_key(state.newest, state.more))
  rebuild(math.max(now, state.newest) - args.window + 1)
end

-- Loaded views of a minute that is not folded yet are not folded: the tiers they would go into have their own rows.
local function load_unfolded(minute, pages, views)
  local loaded, numbers = {}, {}
  local is_unfolded = asked('SMISMEMBER', unfolded_key(minute), pages)
  for i = 1, #pages do
    if minute == state.open or is_unfolded[i] == 1 then
      loaded[#loaded + 1], numbers[#numbers + 1] = pages[i], views[i]
    end
  end
  bump(bucket_key('minute', minute), pages, views)
  take_off(minute, loaded, numbers)
  write()
  in_runs('SADD', unfolded_key(minute), loaded, RUN)
  state.mixed = math.max(state.mixed or 0, minute)
end

local function load_views()
  for start, sums in pairs(by_start(oldest_kept(args.tier))) do
    local pages, views = lists(sums)
    if args.tier == 'minute' and (start == state.open or start == state.prev) then
      load_unfolded(start, pages, views)
    else
      bump(bucket_key(args.tier, start), pages, views, life(args.tier, start))
      write()
    end
    note(start)
  end
end

-- Pages that have no place in their day get one, whatever its limit; a page of an hour needs none.
local function place(day, pages)
  local places = places_key(day)
  local numbers = asked('HMGET', places, pages)
  local last = tonumber(call('HGET', places, '#') or 0)
  for i, page in ipairs(pages) do
    if not numbers[i] then
      last = last + 1
      call('HSET', places, page, text[last], '#' .. text[last], page, '#', text[last])
    end
  end
  call('EXPIRE', places, life('day', day))
end

local function load_pages(start, pages)
  local names, to = {}, pages_key(args.tier, start)
  for page in pairs(pages) do names[#names + 1] = page end
  if args.tier == 'day' then place(start, names) end
  for i, all in ipairs(asked('HMGET', to, names)) do
    local words, views = words_in(all or '')
    local known = {}
    for k = 1, #words do known[words[k]] = k end
    for _, row in ipairs(pages[names[i]]) do
      local word = word_of(letter_of(numbered(row[3])), row[4])
      local k = known[word] or #words + 1
      known[word], words[k], views[k] = k, word, (views[k] or 0) + row[5]
    end
    call('HSET', to, names[i], written(words, views))
  end
  call('EXPIRE', to, life(args.tier, start))
end

local function load_traits()
  local buckets = {} -- start: page: rows
  for _, row in ipairs(args.rows) do
    local start, page, dimension, value, n = unpack(row)
    if start >= oldest_kept(args.tier) then
      if page == WHOLE then
        local to, ttl = trait_key(args.tier, start, dimension), life(args.tier, start)
        numbered(dimension)
        call('HINCRBY', to, value, text[n])
        if ttl then call('EXPIRE', to, ttl) end
      elseif args.tier ~= 'month' then
        buckets[start] = buckets[start] or {}
        buckets[start][page] = buckets[start][page] or {}
        table.insert(buckets[start][page], row)
      end
      note(start)
    end
  end
  for start, pages in pairs(buckets) do load_pages(start, pages) end
end

local function load_visitors()
  for start, sums in pairs(by_start(oldest_visitors(args.tier))) do
    local pages, visitors = lists(sums)
    bump(numbers_key(args.tier, start), pages, visitors, visitor_life(args.tier, start))
    write()
    note(start)
  end
end

local function load_writers()
  for _, row in ipairs(args.rows) do
    local known = writer_of(row[1])
    local number = known and known.number
    if not number then
      state.writers = state.writers + 1
      number = text[state.writers]
    end
    call('HSET', writers_key(), row[1], text[row[2]] .. ':' .. now .. ':1:' .. number .. ':')
    state.lasting = true
  end
  call('PERSIST', writers_key())
end

local LOADS = { traits = load_traits, visitors = load_visitors, writers = load_writers }
if args.section ~= 'views' then
  LOADS[args.section]()
elseif args.tier == 'second' then
  load_seconds()
else
  load_views()
end
save()
