-- New pages: which of a batch's untimed views may open theirs.

-- A page that was refused is remembered by a mark, which is shorter than most names.
local function mark_of(page) return redis.sha1hex(page):sub(1, 10) end

-- The pages with untimed views, in their order, of the pages and then of the ids at some places.
local function untimed_of(places)
  local names, seen = {}, {}
  local function take(page)
    if not seen[page] then
      seen[page] = true
      names[#names + 1] = page
    end
  end
  for _, entry in ipairs(args.pages) do take(entry[1]) end
  for _, i in ipairs(places) do
    if not args.id_times[i] then take(args.id_pages[i]) end
  end
  return names
end

-- Those of some pages that a batch which is sent again had refused the first time.
local function refused_before(marks)
  local refused = {}
  if marks == '' then return refused end
  local places, known = {}, {}
  for i = 1, #args.ids do places[i] = i end
  for mark in marks:gmatch('%x+') do known[mark] = true end
  local names = untimed_of(places)
  for _, entry in ipairs(args.timed) do names[#names + 1] = entry[1][1] end
  for _, page in ipairs(names) do
    if known[mark_of(page)] then refused[#refused + 1] = page end
  end
  return refused
end

-- Of pages with untimed views, those that the batch opens, those that it may not (a set), and the marks of these. A page is new
-- whose total is 0 and that has no view with a time of its own in the batch: such views may open any page.
local function opened_of(names, timed)
  local new, opened, refused, marks = names, {}, {}, {}
  if state.mixed ~= state.open then -- what the open minute has is in the total
    local found = asked('HMGET', bucket_key('minute', state.open), names)
    new = {}
    for i = 1, #names do
      if not found[i] then new[#new + 1] = names[i] end
    end
  end
  local totals = in_bucket(new, 'total', 0)
  local day, known_only = start_of('day', now), {}
  for _, page in ipairs(args.known_only) do known_only[page] = true end
  local n = state.opened_day == day and state.opened or 0
  for i, page in ipairs(new) do
    if totals[i] == 0 and not timed[page] then
      if known_only[page] or args.most_new_pages > 0 and n >= args.most_new_pages then
        refused[page] = true
        marks[#marks + 1] = mark_of(page)
      else
        opened[#opened + 1] = page
        n = n + 1
      end
    end
  end
  state.opened_day, state.opened = day, n
  return opened, refused, table.concat(marks, ',')
end
